"""The gateway's end of one warm parent: starts it when needed, asks it to fork, hears of ends."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from typing import TypeVar

from ujes.launchers.launcher import LaunchError
from ujes.launchers.local.control import Exited, Fork, Forked, ForkFailed, FromParent, Ready
from ujes.launchers.local.spawn import Spawned, spawn
from ujes.link.codec import BrokenFrame, Decoder, encode

#: Imports on a busy machine take their time.
START_TIMEOUT_S = 60.0
FORK_TIMEOUT_S = 30.0
_END_TIMEOUT_S = 5.0

T = TypeVar("T")


class WarmParent:
    """One per Python. Belongs to the event loop it is first used in.

    A parent that died is started again by the next `fork`; each `fork` starts at most one, so a Python that
    cannot start fails one launch after the other and never loops.
    """

    def __init__(
        self, python: str, on_exited: Callable[[Exited], None], ahead: Spawned | None = None
    ) -> None:
        """`ahead` is one on its way already, for the first start."""
        self._python = python
        self._on_exited = on_exited
        self._ahead = ahead
        self._starting = asyncio.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._listening: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[Ready] | None = None
        self._forks: dict[str, asyncio.Future[Forked]] = {}
        #: sentences about what could not be imported ahead
        self.left_out: tuple[str, ...] = ()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Returns when it is ready to fork. Raises `LaunchError`."""
        async with self._starting:
            if self._writer is None:
                await self._start()

    async def fork(self, fork: Fork) -> Forked:
        """Start one host. Raises `LaunchError`; then no host runs, or it is found by its tag."""
        await self.start()
        assert self._writer is not None
        tag = fork.order.tag
        if tag in self._forks:
            raise LaunchError(f"The engine {tag} is being started already.")
        answer = self._forks[tag] = asyncio.get_running_loop().create_future()
        try:
            self._writer.write(encode(fork))
            return await asyncio.wait_for(answer, FORK_TIMEOUT_S)
        except TimeoutError:
            raise LaunchError(
                f"The process for engine {tag} did not start in {FORK_TIMEOUT_S:g} s."
            ) from None
        finally:
            del self._forks[tag]

    async def close(self) -> None:
        """End the warm parent; the hosts it started live on."""
        async with self._starting:
            if self._listening is not None and self._writer is not None:
                self._writer.close()
                await self._listening

    async def _start(self) -> None:
        spawned, self._ahead = self._ahead or await self._spawn(), None
        self._process = spawned.process
        reader, self._writer = await asyncio.open_connection(sock=spawned.control)
        self._ready = asyncio.get_running_loop().create_future()
        self._listening = asyncio.create_task(self._listen(reader, spawned))
        try:
            self.left_out = tuple((await asyncio.wait_for(self._ready, START_TIMEOUT_S)).left_out)
        except TimeoutError:
            self._writer.close()
            raise LaunchError(f"The Python {self._name()} was not ready in {START_TIMEOUT_S:g} s.") from None

    async def _spawn(self) -> Spawned:
        try:
            return await asyncio.to_thread(spawn, self._python)
        except OSError as error:
            raise LaunchError(f"The Python {self._name()} cannot be started: {error.strerror}.") from error

    def _name(self) -> str:
        return self._python or sys.executable

    async def _listen(self, reader: asyncio.StreamReader, spawned: Spawned) -> None:
        decoder: Decoder[FromParent] = Decoder(FromParent)
        try:
            while data := await reader.read(64 * 1024):
                for message in decoder.feed(data):
                    self._hear(message)
        except (OSError, BrokenFrame):
            pass  # as good as an end
        finally:
            await self._bury(spawned)

    def _hear(self, message: FromParent) -> None:
        match message:
            case Ready():
                _settle(self._ready, message)
            case Forked(tag=tag):
                _settle(self._forks.get(tag), message)
            case ForkFailed(tag=tag, text=text):
                _fail(self._forks.get(tag), LaunchError(text))
            case Exited():
                self._on_exited(message)

    async def _bury(self, spawned: Spawned) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        status = await asyncio.to_thread(_await_end, spawned.process)
        self._process = None
        with spawned.log:
            tail = spawned.log_tail()
        error = LaunchError(f"The process that starts engines ended ({status}). {tail}".strip())
        _fail(self._ready, error)
        for answer in self._forks.values():
            _fail(answer, error)


def _await_end(process: subprocess.Popen[bytes]) -> str:
    """It ends when its control socket does; one that hangs in an import is killed."""
    try:
        code = process.wait(_END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
    return f"signal {-code}" if code < 0 else f"status {code}"


def _settle(future: asyncio.Future[T] | None, value: T) -> None:
    if future is not None and not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[T] | None, error: LaunchError) -> None:
    if future is not None and not future.done():
        future.set_exception(error)
