"""Where the record batches of an Arrow file are, and how many rows each has, without reading them.

Paging needs the rows of every batch, and pyarrow tells them only after reading the batch. They stand in
small FlatBuffers tables: the footer at the file's end lists the batches, and each batch begins with a
message that holds its length. Only what is needed of the two is read here; pyarrow has checked the footer
before, and anything that does not fit raises `ValueError` or `struct.error`.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

_MAGIC = b"ARROW1"
#: a block in the footer: offset, length of the message (and padding), length of the body
_BLOCK = struct.Struct("<qi4xq")
#: no message of a record batch is longer; 100,000 columns have some 5 MB
_MESSAGE_BYTES_MAX = 64 * 1024 * 1024
_FOOTER_BATCHES = 3
_MESSAGE_HEADER = 2
_BATCH_LENGTH = 0


def batch_rows(file: BinaryIO, size_bytes: int) -> list[int]:
    """The number of rows of every record batch, in order."""
    return [_rows(file, offset, length) for offset, length in _blocks(file, size_bytes)]


def _blocks(file: BinaryIO, size_bytes: int) -> list[tuple[int, int]]:
    tail = struct.Struct("<i6s")
    length, magic = tail.unpack(_read(file, size_bytes - tail.size, tail.size))
    if magic != _MAGIC or not 0 < length < size_bytes:
        raise ValueError("it has no Arrow footer")
    footer = _read(file, size_bytes - tail.size - length, length)
    at = _field(footer, _table(footer, 0), _FOOTER_BATCHES)
    if at is None:
        return []
    vector = _table(footer, at)
    (count,) = struct.unpack_from("<I", footer, vector)
    places = (_BLOCK.unpack_from(footer, vector + 4 + _BLOCK.size * number) for number in range(count))
    return [(offset, message_bytes) for offset, message_bytes, _ in places]


def _rows(file: BinaryIO, offset: int, length: int) -> int:
    message = _read(file, offset, min(length, _MESSAGE_BYTES_MAX))
    # Since Arrow 0.15 a message begins with a continuation mark and its length, eight bytes together.
    base = 8 if message[:4] == b"\xff\xff\xff\xff" else 4
    header = _field(message, _table(message, base), _MESSAGE_HEADER)
    if header is None:
        raise ValueError("a record batch has no header")
    at = _field(message, _table(message, header), _BATCH_LENGTH)
    return 0 if at is None else _int64(message, at)


def _int64(buffer: bytes, at: int) -> int:
    value: int = struct.unpack_from("<q", buffer, at)[0]
    if value < 0:
        raise ValueError("a record batch has a negative length")
    return value


def _table(buffer: bytes, at: int) -> int:
    """Follow the reference at `at`."""
    offset: int = struct.unpack_from("<I", buffer, at)[0]
    return at + offset


def _field(buffer: bytes, table: int, number: int) -> int | None:
    """Where a table keeps a field, or None when it is left out."""
    (back,) = struct.unpack_from("<i", buffer, table)
    (size,) = struct.unpack_from("<H", buffer, table - back)
    entry = 4 + 2 * number
    if entry >= size:
        return None
    offset: int = struct.unpack_from("<H", buffer, table - back + entry)[0]
    return table + offset if offset else None


def _read(file: BinaryIO, offset: int, count: int) -> bytes:
    if offset < 0:
        raise ValueError("it is too short")
    file.seek(offset)
    return file.read(count)
