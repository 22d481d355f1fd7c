"""Every process of an instance, however it tries to look like a stranger, and how to end them all.

A process belongs to an instance when it
- is its host, or of the host's session, or
- carries the instance's tag in the environment it was started with (by exec), or
- carries the instance's mark as its name (forked without exec: those have no environment of their own), or
- descends from one of these.

All blocking: the launcher calls it in threads.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Iterable

import psutil

from ujes.enginehost.processes import Process, descendants, environment_holds, everybody, look
from ujes.launchers.launcher import StopTimes
from ujes.launchers.local.handle import Handle
from ujes.launchers.local.marks import TAG_VARIABLE, mark_of


def host_of(handle: Handle) -> Process | None:
    """The living host of `handle`; a later process with its number is not it."""
    if handle.pid is None:
        return None
    process = look(handle.pid)
    if process is None or process.is_zombie or process.created != handle.created:
        return None
    return process


def members(tag: str, handle: Handle) -> list[Process]:
    """Every living process of the instance."""
    table = {each.pid: each for each in everybody() if each.pid != os.getpid()}
    found: dict[int, Process] = {}
    for process in table.values():
        if _is_member(process, tag, handle, table):
            found[process.pid] = process
            found.update({each.pid: each for each in descendants(process.pid, table.values())})
    return [each for each in found.values() if not each.is_zombie]


def _is_member(process: Process, tag: str, handle: Handle, table: dict[int, Process]) -> bool:
    return (
        _is_of_session(process, handle, table)
        or process.name == mark_of(tag)
        or environment_holds(process.pid, f"{TAG_VARIABLE}={tag}")
    )


def _is_of_session(process: Process, handle: Handle, table: dict[int, Process]) -> bool:
    """The host leads its session. While anybody is left in it, the system gives its number to nobody else."""
    if handle.pid is None or handle.created is None or process.session != handle.pid:
        return False
    leader = table.get(handle.pid)
    return process.created >= handle.created and (leader is None or leader.created == handle.created)


def end_all(tag: str, handle: Handle, times: StopTimes) -> None:
    """Ask, then kill, until nobody is left. Raises `TimeoutError` when somebody is.

    A host that is asked interrupts its job, closes its engine and leaves, so the first two times are one.
    """
    found = members(tag, handle)
    if not found:
        return
    _terminate(found, handle)
    _await_end(found, times.interrupt_s + times.terminate_s)
    until_s = time.monotonic() + times.kill_s
    while found := members(tag, handle):
        if time.monotonic() > until_s:
            pids = ", ".join(str(each.pid) for each in found)
            raise TimeoutError(f"Processes {pids} of the engine {tag} do not end, not even by SIGKILL.")
        for process in found:
            _send(process, signal.SIGKILL)
        _await_end(found, max(0.0, until_s - time.monotonic()))


def _terminate(found: Iterable[Process], handle: Handle) -> None:
    """The whole group at once, so that no child is started by one that was not asked yet."""
    if host_of(handle) is not None and handle.pid is not None:
        _ignore_gone(lambda pid: os.killpg(pid, signal.SIGTERM), handle.pid)
    for process in found:
        if process.session != handle.pid:
            _send(process, signal.SIGTERM)


def _send(process: Process, number: signal.Signals) -> None:
    """Only to this very process: while its descriptor is held, no other can take its number."""
    if not hasattr(os, "pidfd_open"):
        _ignore_gone(lambda pid: os.kill(pid, number), process.pid)
        return
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        now = look(process.pid)
        if now is not None and now.created == process.created:
            _ignore_gone(lambda fd: signal.pidfd_send_signal(fd, number), descriptor)
    finally:
        os.close(descriptor)


def _ignore_gone(send: Callable[[int], None], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it ended by itself
        send(number)


def _await_end(processes: Iterable[Process], timeout_s: float) -> None:
    """Returns when all are over or the time is."""
    if not hasattr(os, "pidfd_open"):
        psutil.wait_procs(
            [psutil.Process(each.pid) for each in processes if psutil.pid_exists(each.pid)], timeout_s
        )
        return
    until_s = time.monotonic() + timeout_s
    for process in processes:
        _await_one(process, max(0.0, until_s - time.monotonic()))


def _await_one(process: Process, timeout_s: float) -> None:
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        now = look(process.pid)
        if now is not None and now.created == process.created:
            ended = select.poll()
            ended.register(descriptor, select.POLLIN)
            ended.poll(timeout_s * 1000)
    finally:
        os.close(descriptor)
