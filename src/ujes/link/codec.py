"""Frames of the link: a 4-byte big-endian length, then one message as msgpack. Knows no socket.

A broken frame leaves nothing to trust behind it, so a decoder that met one refuses everything after it:
the connection is closed and made anew.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

#: Longest message, without its length.
FRAME_BYTES_MAX = 16 * 1024 * 1024

_LENGTH_BYTES = 4
_encoder = msgspec.msgpack.Encoder()

T = TypeVar("T")


class BrokenFrame(Exception):
    """The other side sent what is not a message of the link; the text says what was wrong."""


def encode(message: msgspec.Struct) -> bytes:
    """The frame of `message`. Raises `ValueError` when it is longer than any decoder takes."""
    frame = bytearray(_LENGTH_BYTES)
    _encoder.encode_into(message, frame, _LENGTH_BYTES)
    length = len(frame) - _LENGTH_BYTES
    if length > FRAME_BYTES_MAX:
        raise ValueError(f"a {type(message).__name__} of {length} bytes is longer than {FRAME_BYTES_MAX}")
    frame[:_LENGTH_BYTES] = length.to_bytes(_LENGTH_BYTES, "big")
    return bytes(frame)


class Decoder(Generic[T]):
    """Bytes in, messages of one union out."""

    def __init__(self, union: Any, max_bytes: int = FRAME_BYTES_MAX) -> None:
        self._decoder: msgspec.msgpack.Decoder[T] = msgspec.msgpack.Decoder(union)
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._broken: str | None = None

    def feed(self, data: bytes) -> list[T]:
        """The messages that `data` completes. Raises `BrokenFrame`, and from then on always."""
        if self._broken is not None:
            raise BrokenFrame(self._broken)
        self._buffer += data
        try:
            return self._take_all()
        except BrokenFrame as error:
            self._broken = str(error)
            self._buffer.clear()
            raise

    def _take_all(self) -> list[T]:
        messages: list[T] = []
        start = 0
        while (end := self._frame_end(start)) is not None:
            messages.append(self._decode(start + _LENGTH_BYTES, end))
            start = end
        del self._buffer[:start]
        return messages

    def _frame_end(self, start: int) -> int | None:
        """Where the frame that begins at `start` ends, or None while it is incomplete."""
        body = start + _LENGTH_BYTES
        if len(self._buffer) < body:
            return None
        length = int.from_bytes(self._buffer[start:body], "big")
        if length == 0:
            raise BrokenFrame("a frame of length zero holds no message")
        if length > self._max_bytes:
            raise BrokenFrame(f"a frame of {length} bytes is longer than the {self._max_bytes} allowed")
        return body + length if len(self._buffer) >= body + length else None

    def _decode(self, start: int, end: int) -> T:
        try:
            return self._decoder.decode(self._buffer[start:end])
        # Besides its own errors msgspec lets bad UTF-8, absurd numbers, lengths and nesting through as these.
        except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError, MemoryError) as error:
            raise BrokenFrame(f"a frame of {end - start} bytes is no message of this link: {error}") from None
