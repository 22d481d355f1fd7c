"""Engine instances as processes of this machine, forked from a warm parent.

Each Python has one warm parent (`warm.py`); each instance is one child of it (`child.py`) and leads a
session of its own. The work directory, `<engines>/<tag>`, is where an instance is found again when
nothing else is known of it; `kin.py` finds the processes that ran away from it.
"""

from __future__ import annotations

import asyncio
import functools
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from ujes.enginehost.order import HostOrder
from ujes.launchers import accounts
from ujes.launchers.accounts import Account
from ujes.launchers.launcher import LaunchError, LaunchOrder, ProcessLimits, StopTimes
from ujes.launchers.local import ending, kin
from ujes.launchers.local.control import Exited, Fork, Limits
from ujes.launchers.local.handle import Handle, from_folder, from_text
from ujes.launchers.local.parent import WarmParent
from ujes.launchers.local.spawn import Spawned

#: Stops that wait for processes at once; more wait their turn.
_THREADS_MAX = 16
#: Endings that are remembered.
_ENDINGS_MAX = 1000
#: A process may be over a moment before its parent has told how it ended.
_ENDING_TIMEOUT_S = 1.0

P = ParamSpec("P")
T = TypeVar("T")


class LocalLauncher:
    """A `Launcher`. Belongs to one event loop; `close` ends the warm parents and leaves instances running."""

    def __init__(self, engines_dir: Path, ahead: Spawned | None = None) -> None:
        """`ahead` is a warm parent of our own Python that is on its way already."""
        self._engines_dir = engines_dir
        self._parents = {"": WarmParent("", self._on_exited, ahead)}
        self._threads = ThreadPoolExecutor(_THREADS_MAX, "launcher")
        #: hosts started by us that still run; set when told that they ended
        self._living: dict[str, asyncio.Event] = {}
        self._endings: OrderedDict[str, int] = OrderedDict()

    async def warm(self, python: str = "") -> tuple[str, ...]:
        """Start the warm parent ahead of the first launch; returns what it could not import, in sentences."""
        parent = self._parent(python)
        await parent.start()
        return parent.left_out

    def warm_pid(self, python: str = "") -> int | None:
        """The process that forks instances of this Python, if it runs."""
        return self._parent(python).pid

    async def close(self) -> None:
        await asyncio.gather(*(parent.close() for parent in self._parents.values()))
        await asyncio.to_thread(self._threads.shutdown)

    async def launch(self, order: LaunchOrder) -> AsyncIterator[str]:
        # No handle for the folder alone: the tag finds it, and storing one would hold up every start.
        account = await self._in_thread(_prepared, self._work_dir(order.tag), order)
        self._living[order.tag] = asyncio.Event()
        try:
            forked = await self._parent(order.python).fork(_fork(order, account))
        except BaseException:
            self._living.pop(order.tag, None)
            raise
        yield Handle(pid=forked.pid, created=forked.created, sid=forked.pid).text()

    async def find(self, tag: str) -> str | None:
        handle = from_folder(self._work_dir(tag))
        if kin.host_of(handle) is not None:
            return handle.text()
        return handle.text() if await self._in_thread(kin.members, tag, handle) else None

    async def check(self, tag: str, handle: str | None) -> str | None:
        known = self._known(tag, handle)
        if kin.host_of(known) is not None:
            return None
        if tag in self._living:
            await self._ending(tag)
        if known.pid is None:
            return "was never started"
        return ending.sentence(self._endings.get(tag), self._work_dir(tag))

    async def stop(self, tag: str, handle: str | None, times: StopTimes) -> None:
        await self._in_thread(kin.end_all, tag, self._known(tag, handle), times)

    def _parent(self, python: str) -> WarmParent:
        if python not in self._parents:
            self._parents[python] = WarmParent(python, self._on_exited)
        return self._parents[python]

    def _work_dir(self, tag: str) -> Path:
        return self._engines_dir / tag

    def _known(self, tag: str, handle: str | None) -> Handle:
        known = from_text(handle)
        return known if known.pid is not None else from_folder(self._work_dir(tag))

    def _on_exited(self, exited: Exited) -> None:
        self._endings[exited.tag] = exited.code
        if len(self._endings) > _ENDINGS_MAX:
            self._endings.popitem(last=False)
        if (living := self._living.pop(exited.tag, None)) is not None:
            living.set()

    async def _ending(self, tag: str) -> None:
        try:
            await asyncio.wait_for(self._living[tag].wait(), _ENDING_TIMEOUT_S)
        except TimeoutError:
            self._living.pop(tag, None)  # its parent ended, too: nobody will tell

    async def _in_thread(self, function: Callable[P, T], *args: P.args, **names: P.kwargs) -> T:
        call = functools.partial(function, *args, **names)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


def _prepared(work_dir: Path, order: LaunchOrder) -> Account | None:
    _make_folder(work_dir, order.work_dir)
    return _account(order)


def _make_folder(expected: Path, work_dir: Path) -> None:
    if work_dir != expected:
        raise LaunchError(f"The local launcher starts engines in {expected}, not in {work_dir}.")
    try:
        work_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        work_dir.chmod(0o700)
    except OSError as error:
        raise LaunchError(f"The engine's folder {work_dir} cannot be made: {error.strerror}.") from error


def _account(order: LaunchOrder) -> Account | None:
    """The account the host is to become, its folders made; the work directory it gets later."""
    if not order.account:
        return None
    account = accounts.find(order.account)
    try:
        accounts.make_way(order.work_dir.parent)
        for root in order.roots:
            accounts.make_way(root.parent)
            accounts.give_folder(root, account.uid)
    except OSError as error:
        text = f"The folder {error.filename} cannot be given to {order.account}: {error.strerror}."
        raise LaunchError(text) from error
    return account


def _fork(order: LaunchOrder, account: Account | None) -> Fork:
    return Fork(
        order=HostOrder(
            tag=order.tag,
            engine=order.engine,
            user=order.user,
            startup=dict(order.startup),
            work_dir=str(order.work_dir),
            roots=[str(root) for root in order.roots],
            gateway_address=order.gateway_address,
            token=order.token,
            orphan_timeout_s=order.orphan_timeout_s,
            log_bytes_max=order.log_bytes_max,
        ),
        env=dict(order.env),
        limits=_limits(order.limits),
        account=account,
    )


def _limits(limits: ProcessLimits) -> Limits:
    return Limits(
        memory_bytes=limits.memory_bytes,
        cpu_s=limits.cpu_s,
        open_files=limits.open_files,
        processes=limits.processes,
    )
