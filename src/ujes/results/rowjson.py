"""The rows of a page as JSON, put together by Arrow: `[["1","a"],["2",null]]`.

A page has tens of thousands of cells. As Python texts, turned into rows and encoded, they cost several
times what reading the page costs; here no cell becomes a Python object unless its type asks for that.
Columns are written as texts, escaped where they contain what JSON escapes, and joined.
"""

from __future__ import annotations

import struct
from functools import reduce

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from ujes.results import cells
from ujes.results.strings import string_scalar

#: What JSON does not let stand in a text; the backslash first, because the others become one.
_ESCAPES = {
    char: msgspec.json.encode(char).decode()[1:-1] for char in ("\\", '"', *map(chr, range(ord(" "))))
}
_ESCAPED = "".join(_ESCAPES).encode()
#: An Arrow array of ordinary strings holds no more.
_STRING_BYTES_MAX = 2**31 - 1


def rows(page: pa.Table, *, null: str | None = None, as_null: tuple[str, ...] = ()) -> bytes:
    """The rows as a JSON array of arrays of texts.

    `null` stands for a cell without a value, without it such a cell is null; the texts of `as_null` are
    shown like one.
    """
    if not page.num_rows or not page.num_columns:
        return msgspec.json.encode([()] * page.num_rows)
    columns = [_inner(column) for column in page.columns]
    if null is not None:
        columns = [_without_nulls(column, null, as_null) for column in columns]
    if not any(column.null_count for column in columns):
        return b'[["' + _joined(columns, '","', '"],["') + b'"]]'
    return b"[[" + _joined([_quoted(column) for column in columns], ",", "],[") + b"]]"


def _inner(column: pa.ChunkedArray) -> pa.Array:
    """What stands between the quotes."""
    texts = cells.strings(column)
    if pa.types.is_string_view(texts.type):
        texts = texts.cast(pa.large_string())
    is_plain = pa.types.is_primitive(column.type) or pa.types.is_decimal(column.type)
    return texts if is_plain else _escaped(texts)


def _escaped(texts: pa.Array) -> pa.Array:
    """The texts with JSON's escapes. What stands in the buffer outside of the page only costs time."""
    data = b"" if (buffer := texts.buffers()[2]) is None else buffer.to_pybytes()
    if len(data.translate(None, _ESCAPED)) == len(data):
        return texts
    found = [char for char in _ESCAPES if char.encode() in data]
    return reduce(lambda whole, char: pc.replace_substring(whole, char, _ESCAPES[char]), found, texts)


def _without_nulls(texts: pa.Array, null: str, as_null: tuple[str, ...]) -> pa.Array:
    shown = string_scalar(msgspec.json.encode(null).decode()[1:-1], texts.type)
    for text in as_null:
        texts = pc.if_else(pc.equal(texts, string_scalar(text, texts.type)), shown, texts)
    return pc.fill_null(texts, shown) if texts.null_count else texts


def _quoted(texts: pa.Array) -> pa.Array:
    quote, nothing, null = (string_scalar(text, texts.type) for text in ('"', "", "null"))
    return pc.fill_null(pc.binary_join_element_wise(quote, texts, quote, nothing), null)


def _joined(columns: list[pa.Array], between_cells: str, between_rows: str) -> bytes:
    """All cells of all rows in one text. None of them is null."""
    cells_count = len(columns) * len(columns[0])
    size_bytes = sum(column.nbytes for column in columns) + cells_count * len(between_rows)
    kind = pa.string() if size_bytes <= _STRING_BYTES_MAX else pa.large_string()
    columns = [column.cast(kind) for column in columns]
    lines = pc.binary_join_element_wise(*columns, string_scalar(between_cells, kind))
    whole = pc.binary_join(_one_list(lines), string_scalar(between_rows, kind))
    content: bytes = whole.buffers()[2].to_pybytes()
    return content


def _one_list(lines: pa.Array) -> pa.Array:
    offsets = pa.py_buffer(struct.pack("=2i", 0, len(lines)))
    return pa.Array.from_buffers(pa.list_(lines.type), 1, [None, offsets], children=[lines])
