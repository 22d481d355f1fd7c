"""Cells come as text; a column's type says what they mean.

A text that does not fit its column's type is kept as it is: a wrong guess must not cost the row. In
columns that are not text, the word NULL is a missing value, as servers before 1.5 send it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ujes.client.values import Cell, Column

Reader = Callable[[str], "Cell"]

_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}


def _boolean(text: str) -> bool:
    return _BOOLEANS[text.lower()]


_READERS: dict[str, Reader] = {
    **dict.fromkeys(("tinyint", "smallint", "short", "int", "integer", "bigint", "long"), int),
    **dict.fromkeys(("float", "double"), float),
    **dict.fromkeys(("decimal", "numeric"), Decimal),
    **dict.fromkeys(("boolean", "bool"), _boolean),
    **dict.fromkeys(("timestamp", "datetime"), datetime.fromisoformat),
    **dict.fromkeys(("array", "list", "map", "struct"), json.loads),
    "date": date.fromisoformat,
}


def typed_rows(
    columns: Sequence[Column], rows: Iterable[tuple[str | None, ...]]
) -> Iterator[tuple[Cell, ...]]:
    """The rows with cells as Python values."""
    readers = [_READERS.get(column.type.partition("(")[0].strip().lower()) for column in columns]
    if not any(readers):
        yield from rows
        return
    for row in rows:
        yield tuple(
            cell if reader is None or cell is None else _read(reader, cell)
            for reader, cell in zip(readers, row, strict=False)
        )


def _read(reader: Reader, text: str) -> Cell:
    if text.upper() == "NULL":
        return None
    try:
        return reader(text)
    except (ValueError, KeyError, InvalidOperation):
        return text
