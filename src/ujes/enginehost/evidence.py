"""Files in an instance's work directory that tell, after a crash, what its host was doing.

`running`   jobs the host took and was not told to forget, one number a line; written before it says Accepted
`outbox`    frames, as on the link, that a host could not deliver before it left

The folder belongs to the account the host runs as, which may be another than the reader's and mean harm: the
reader follows no link, waits for no pipe, takes no file of a third account and reads up to a bound.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from ujes.link.codec import BrokenFrame, Decoder, encode
from ujes.link.messages import FromHost

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

_RUNNING = "running"
_OUTBOX = "outbox"
_RUNNING_BYTES_MAX = 64 * 1024
#: Far more than a host keeps unconfirmed.
_OUTBOX_BYTES_MAX = 256 * 1024 * 1024
_DIGITS_MAX = 18
_SAFELY = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def left_by_host(path: Path) -> Iterator[IO[bytes]]:
    """Open a file of a work directory. Raises OSError; for one the host cannot have made, too."""
    with os.fdopen(os.open(path, _SAFELY), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_uid != path.parent.stat().st_uid:
            raise OSError(errno.EPERM, "The file was not made by the engine", str(path))
        yield file


def write_running(work_dir: Path, jobs: Iterable[int]) -> None:
    numbers = "".join(f"{job}\n" for job in jobs)
    if not numbers:
        (work_dir / _RUNNING).unlink(missing_ok=True)
        return
    new = work_dir / f".{_RUNNING}"
    new.write_text(numbers)
    new.replace(work_dir / _RUNNING)


def read_running(work_dir: Path) -> tuple[int, ...]:
    """The jobs a host had taken; empty when it had none, or never was."""
    try:
        with left_by_host(work_dir / _RUNNING) as file:
            words = file.read(_RUNNING_BYTES_MAX).split()
    except FileNotFoundError:
        return ()
    return tuple(int(word) for word in words if word.isdigit() and len(word) <= _DIGITS_MAX)


def write_outbox(work_dir: Path, frames: Sequence[FromHost]) -> None:
    if not frames:
        return
    new = work_dir / f".{_OUTBOX}"
    with new.open("wb") as file:
        file.writelines(encode(frame) for frame in frames)
    new.replace(work_dir / _OUTBOX)


def read_outbox(work_dir: Path) -> list[FromHost]:
    """What a host left behind; the part before a broken frame, if it was damaged."""
    decoder: Decoder[FromHost] = Decoder(FromHost)
    frames: list[FromHost] = []
    try:
        with left_by_host(work_dir / _OUTBOX) as file:
            while file.tell() < _OUTBOX_BYTES_MAX and (data := file.read(64 * 1024)):
                frames += decoder.feed(data)
    except (FileNotFoundError, BrokenFrame):
        return frames
    return frames
