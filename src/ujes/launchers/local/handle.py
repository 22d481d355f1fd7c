"""What the local launcher saves to find an instance again."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ujes.launchers.local.marks import PID_FILE


class Handle(msgspec.Struct, frozen=True, kw_only=True):
    """Before the fork nothing is known but the tag: all are None."""

    pid: int | None = None
    #: when the process began; on Linux in seconds since the machine's start
    created: float | None = None
    #: the session it leads
    sid: int | None = None

    def text(self) -> str:
        return msgspec.json.encode(self).decode()


def from_text(text: str | None) -> Handle:
    """A handle that cannot be read counts as none: the instance is then found by its tag."""
    try:
        return msgspec.json.decode(text or "{}", type=Handle)
    except msgspec.MsgspecError:
        return Handle()


def from_folder(work_dir: Path) -> Handle:
    """What the host itself wrote first thing."""
    try:
        pid, created = (work_dir / PID_FILE).read_text().split()
        return Handle(pid=int(pid), created=float(created), sid=int(pid))
    except (OSError, ValueError):
        return Handle()
