"""The gateway's end of one warm parent: starts it when needed, asks it to fork, hears of ends."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from ujes.launchers.launcher import LaunchError
from ujes.launchers.local.control import Exited, Fork, Forked, ForkFailed, FromParent, Ready
from ujes.launchers.local.environment import FOR_WARM_PARENT, for_engines
from ujes.link.codec import BrokenFrame, Decoder, encode

#: Imports on a busy machine take their time.
START_TIMEOUT_S = 60.0
FORK_TIMEOUT_S = 30.0
_END_TIMEOUT_S = 5.0
_LOG_TAIL_BYTES = 2000

T = TypeVar("T")


class WarmParent:
    """One per Python. Belongs to the event loop it is first used in.

    A parent that died is started again by the next `fork`; each `fork` starts at most one, so a Python that
    cannot start fails one launch after the other and never loops.
    """

    def __init__(self, python: str, log_path: Path, on_exited: Callable[[Exited], None]) -> None:
        self._python = python or sys.executable
        self._log_path = log_path
        self._on_exited = on_exited
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
        ours, theirs = socket.socketpair()
        try:
            self._process = await asyncio.to_thread(self._spawn, theirs)
        except OSError as error:
            ours.close()
            raise LaunchError(f"The Python {self._python} cannot be started: {error.strerror}.") from error
        finally:
            theirs.close()
        reader, self._writer = await asyncio.open_connection(sock=ours)
        self._ready = asyncio.get_running_loop().create_future()
        self._listening = asyncio.create_task(self._listen(reader, self._process))
        try:
            self.left_out = tuple((await asyncio.wait_for(self._ready, START_TIMEOUT_S)).left_out)
        except TimeoutError:
            self._writer.close()
            raise LaunchError(f"The Python {self._python} was not ready in {START_TIMEOUT_S:g} s.") from None

    def _spawn(self, control: socket.socket) -> subprocess.Popen[bytes]:
        self._log_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        command = [self._python, "-m", "ujes.launchers.local.warm", "--control", str(control.fileno())]
        with self._log_path.open("wb") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(control.fileno(),),
                env=_environment(os.environ),
                start_new_session=True,
                cwd="/",
            )

    async def _listen(self, reader: asyncio.StreamReader, process: subprocess.Popen[bytes]) -> None:
        decoder: Decoder[FromParent] = Decoder(FromParent)
        try:
            while data := await reader.read(64 * 1024):
                for message in decoder.feed(data):
                    self._hear(message)
        except (OSError, BrokenFrame):
            pass  # as good as an end
        finally:
            await self._bury(process)

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

    async def _bury(self, process: subprocess.Popen[bytes]) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        status = await asyncio.to_thread(_await_end, process)
        self._process = None
        error = LaunchError(f"The process that starts engines ended ({status}). {self._log_tail()}".strip())
        _fail(self._ready, error)
        for answer in self._forks.values():
            _fail(answer, error)

    def _log_tail(self) -> str:
        try:
            return self._log_path.read_bytes()[-_LOG_TAIL_BYTES:].decode("utf-8", "replace").strip()
        except OSError:
            return ""


def _environment(gateway: Mapping[str, str]) -> dict[str, str]:
    return {**for_engines(gateway), **FOR_WARM_PARENT}


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
