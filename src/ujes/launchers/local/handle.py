"""What the local launcher saves to find an instance again."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from ujes.enginehost.evidence import left_by_host
from ujes.enginehost.processes import account_of
from ujes.launchers.local.marks import PID_FILE

_PID_FILE_BYTES_MAX = 100


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
    """What the host itself wrote first thing.

    Code of the user can write there, too. Where that is another account than ours, it must not make us end
    somebody else's process: the number counts only while a process of that very account has it.
    """
    try:
        with left_by_host(work_dir / PID_FILE) as file:
            account = os.fstat(file.fileno()).st_uid
            pid, created = file.read(_PID_FILE_BYTES_MAX).split()
        found = Handle(pid=int(pid), created=float(created), sid=int(pid))
    except (OSError, ValueError):
        return Handle()
    is_theirs = account == os.geteuid() or account_of(int(pid)) == account
    return found if is_theirs else Handle()
