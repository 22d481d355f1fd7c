"""Child processes a run started: found, and ended when the run is interrupted.

Children of the process itself are compared with those that were there before the run; processes that left
the tree are known by `UJES_JOB` in their environment, which the host sets before a run. psutil is
costly to import, so this module is imported only when something must be ended.
"""

from __future__ import annotations

import contextlib
import os
import select
import time

import psutil

from ujes.engines.python_parts.kin import JOB_MARK

#: a child that does not end by SIGTERM within this gets SIGKILL
_TERMINATE_S = 0.2
_KILL_S = 1.0
#: a pool may start others while they are being ended; the gateway gives up on the instance long before this
_GIVE_UP_S = 10.0


def end_started_since(before: frozenset[int]) -> int:
    """Ends every process this one started after `before` was taken; returns how many are left."""
    give_up_at = time.monotonic() + _GIVE_UP_S
    while (left := _started_since(before)) and time.monotonic() < give_up_at:
        _end(left)
    return len(left)


def _started_since(before: frozenset[int]) -> list[psutil.Process]:
    found: dict[int, psutil.Process] = {}
    for child in psutil.Process().children():
        if child.pid not in before:
            found[child.pid] = child
            found |= {each.pid: each for each in _descendants(child)}
    job = os.environ.get(JOB_MARK)
    if job:
        found |= {each.pid: each for each in _marked(job) if each.pid != os.getpid()}
    return [each for each in found.values() if _is_alive(each)]


def _descendants(child: psutil.Process) -> list[psutil.Process]:
    try:
        return list(child.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _marked(job: str) -> list[psutil.Process]:
    found = []
    for each in psutil.process_iter():
        try:
            if each.environ().get(JOB_MARK) == job:
                found.append(each)
        except (psutil.Error, OSError):
            continue  # ended just now, or another user's
    return found


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _end(processes: list[psutil.Process]) -> None:
    for stop, patience_s in ((psutil.Process.terminate, _TERMINATE_S), (psutil.Process.kill, _KILL_S)):
        for each in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                stop(each)
        processes = _still_alive(processes, patience_s)
        if not processes:
            return


def _still_alive(processes: list[psutil.Process], patience_s: float) -> list[psutil.Process]:
    """Waits for their end without reaping them: the user's own objects want to hear of it."""
    if not hasattr(os, "pidfd_open"):
        psutil.wait_procs(processes, timeout=patience_s)
        return [each for each in processes if _is_alive(each)]
    with contextlib.ExitStack() as stack:
        poll, waiting = select.poll(), set()
        for each in processes:
            with contextlib.suppress(ProcessLookupError):
                descriptor = os.pidfd_open(each.pid)
                stack.callback(os.close, descriptor)
                poll.register(descriptor, select.POLLIN)
                waiting.add(descriptor)
        give_up_at = time.monotonic() + patience_s
        while waiting and (left_s := give_up_at - time.monotonic()) > 0:
            for descriptor, _ in poll.poll(left_s * 1000):
                poll.unregister(descriptor)
                waiting.discard(descriptor)
    return [each for each in processes if _is_alive(each)]
