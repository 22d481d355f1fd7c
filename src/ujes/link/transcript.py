"""A recorded conversation: every piece of bytes, which way it went, and when. Tests play it back.

The file is a row of frames as on the link itself, one `Piece` each. Pieces hold bytes as they passed the
socket, so a recording keeps broken frames and odd chunks, too. A recording holds the host's token:
record only in tests.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import msgspec

from ujes.link.codec import FRAME_BYTES_MAX, Decoder, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Direction = Literal["to_gateway", "to_host"]

#: A piece carries bytes that may already fill a whole frame.
_PIECE_BYTES_MAX = 2 * FRAME_BYTES_MAX


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """Some bytes that passed."""

    direction: Direction
    #: seconds since the recording began
    at_s: float
    data: bytes


class Recorder:
    """Writes a transcript. Use as a context manager."""

    def __init__(self, path: Path, now_s: Callable[[], float] = time.monotonic) -> None:
        self._file: BinaryIO = path.open("wb")
        self._now_s = now_s
        self._began_s = now_s()

    def add(self, direction: Direction, data: bytes) -> None:
        at_s = self._now_s() - self._began_s
        self._file.write(encode(Piece(direction=direction, at_s=at_s, data=data)))
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def pieces(path: Path) -> Iterator[Piece]:
    """The pieces of a transcript, in order. A torn last piece is left out."""
    decoder: Decoder[Piece] = Decoder(Piece, _PIECE_BYTES_MAX)
    with path.open("rb") as file:
        while data := file.read(1024 * 1024):
            yield from decoder.feed(data)


def messages(path: Path, direction: Direction, union: Any) -> Iterator[Any]:
    """What was said in one direction, decoded. Raises `BrokenFrame` where the recorded side broke it."""
    decoder: Decoder[Any] = Decoder(union)
    for piece in pieces(path):
        if piece.direction == direction:
            yield from decoder.feed(piece.data)


def replay(path: Path, direction: Direction, send: Callable[[bytes], object]) -> None:
    """Give one side's bytes to `send` as they came, without the pauses."""
    for piece in pieces(path):
        if piece.direction == direction:
            send(piece.data)
