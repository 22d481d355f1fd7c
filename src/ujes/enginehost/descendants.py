"""The processes that jobs of this host started.

The host is their reaper: whoever loses its parent becomes the host's child.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import time

from ujes.enginehost.processes import Process, descendants, everybody, has_children

log = logging.getLogger(__name__)

Known = frozenset[tuple[int, float]]


def known() -> Known:
    """Who is there now: to be left alone when a job's processes are ended."""
    if not has_children():
        return frozenset()
    return frozenset((each.pid, each.created) for each in descendants(os.getpid(), everybody()))


def end_others(spared: Known, timeout_s: float) -> None:
    """Kill every descendant that is not in `spared`; logs those that would not go in time."""
    until_s = time.monotonic() + timeout_s
    while left := _others(spared):
        if time.monotonic() > until_s:
            log.error("these processes could not be ended: %s", [each.pid for each in left])
            return
        for process in left:
            _kill(process)
        _await_end(left, until_s)


def _others(spared: Known) -> list[Process]:
    if not has_children():
        return []
    found = descendants(os.getpid(), everybody())
    for zombie in (each for each in found if each.is_zombie and each.parent == os.getpid()):
        _reap(zombie.pid)
    return [each for each in found if not each.is_zombie and (each.pid, each.created) not in spared]


def _kill(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):  # it went by itself
        os.kill(process.pid, signal.SIGKILL)


def _reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):  # whoever started it was faster
        os.waitpid(pid, os.WNOHANG)


def _await_end(processes: list[Process], until_s: float) -> None:
    """Wait for the first of them; each is looked at again afterwards."""
    try:
        descriptor = os.pidfd_open(processes[0].pid)
    except (AttributeError, OSError):  # another system, or it is gone
        time.sleep(0.005)
        return
    try:
        select.select([descriptor], [], [], max(0.0, until_s - time.monotonic()))
    finally:
        os.close(descriptor)
