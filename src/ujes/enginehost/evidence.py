"""Files in an instance's work directory that tell, after a crash, what its host was doing.

`running`   jobs the host took and was not told to forget, one number a line; written before it says Accepted
`outbox`    frames, as on the link, that a host could not deliver before it left
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ujes.link.codec import BrokenFrame, Decoder, encode
from ujes.link.messages import FromHost

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_RUNNING = "running"
_OUTBOX = "outbox"


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
        text = (work_dir / _RUNNING).read_text()
    except FileNotFoundError:
        return ()
    return tuple(int(line) for line in text.split() if line.isdecimal())


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
        with (work_dir / _OUTBOX).open("rb") as file:
            while data := file.read(64 * 1024):
                frames += decoder.feed(data)
    except (FileNotFoundError, BrokenFrame):
        return frames
    return frames
