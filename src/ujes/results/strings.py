"""Python's texts in Arrow. `pa.array` and `pa.scalar` import pandas when first called; nothing here does."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa


def string_array(texts: Sequence[str | None]) -> pa.Array:
    """Raises UnicodeEncodeError for half of a surrogate pair."""
    builder = pa.lib.StringBuilder()
    builder.append_values(texts)
    return builder.finish()


def string_scalar(text: str, kind: pa.DataType | None = None) -> pa.Scalar:
    """One text, as a `pa.string()` or another kind of string."""
    array = string_array([text])
    return (array if kind is None else array.cast(kind))[0]
