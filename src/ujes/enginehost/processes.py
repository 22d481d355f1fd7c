"""The processes of this machine, seen at one moment; on Linux read from /proc, elsewhere by psutil.

A process is told apart from a later one with the same number by when it began. On Linux that is counted
from the machine's start, so that setting the clock changes nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

_IS_LINUX = sys.platform.startswith("linux")
_PROC = Path("/proc")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True, slots=True)
class Process:
    pid: int
    parent: int
    session: int
    #: when it began, in seconds; only to compare
    created: float
    #: the short name the kernel keeps; passed on by fork, replaced by exec
    name: str
    is_zombie: bool


def look(pid: int) -> Process | None:
    """The process `pid` as it is now, or None when there is none."""
    return _look_proc(pid) if _IS_LINUX else _look_psutil(pid)


def everybody() -> Iterator[Process]:
    """Every process there is, zombies too."""
    for pid in _pids():
        if (process := look(pid)) is not None:
            yield process


def descendants(pid: int, among: Iterable[Process]) -> list[Process]:
    """Children of `pid`, their children, and so on."""
    children: dict[int, list[Process]] = {}
    for process in among:
        children.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    parents = [pid]
    while parents:
        below = children.pop(parents.pop(), [])
        found += below
        parents += [each.pid for each in below]
    return found


def has_children() -> bool:
    """Whether this process has any child, living or not reaped; on Linux one system call."""
    if not _IS_LINUX:
        return bool(psutil.Process().children())
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def account_of(pid: int) -> int | None:
    """The number of the account a process runs as, or None when there is none."""
    try:
        return psutil.Process(pid).uids().real
    except (psutil.Error, ValueError, OverflowError):
        return None


def environment_holds(pid: int, assignment: str) -> bool:
    """Whether `pid` was started (by exec) with `NAME=value` in its environment."""
    try:
        return assignment.encode() in (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:  # gone, another user's, or another system
        return False


def _pids() -> Iterable[int]:
    if _IS_LINUX:
        return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal()]
    return list(psutil.pids())


def _look_proc(pid: int) -> Process | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # The name stands in parentheses and may hold anything, parentheses too.
    name = text[text.index("(") + 1 : text.rindex(")")]
    state, parent, _group, session, *rest = text[text.rindex(")") + 2 :].split()
    return Process(
        pid=pid,
        parent=int(parent),
        session=int(session),
        created=int(rest[15]) / _TICKS_PER_S,
        name=name,
        is_zombie=state in ("Z", "X"),
    )


def _look_psutil(pid: int) -> Process | None:
    try:
        seen = psutil.Process(pid)
        with seen.oneshot():
            return Process(
                pid=pid,
                parent=seen.ppid(),
                session=os.getsid(pid),
                created=seen.create_time(),
                name=seen.name(),
                is_zombie=seen.status() == psutil.STATUS_ZOMBIE,
            )
    except (psutil.Error, OSError):
        return None
