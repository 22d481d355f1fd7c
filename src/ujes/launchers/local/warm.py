"""The warm parent: imports what engines need, opens nothing, starts no thread, and forks hosts on demand.

Started by the gateway as `python -m ujes.launchers.local.warm --control FD`. Forking a process that has
threads is not safe, so after each import the threads are counted. A module that started one is named, and
the program begins anew without it: a thread cannot be taken back. It ends when the gateway closes the
control socket; its children live on.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import selectors
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

from ujes.enginehost.processes import look
from ujes.engines.engine import Engine
from ujes.engines.registry import EngineRegistry
from ujes.launchers.local import child
from ujes.launchers.local.control import Exited, Fork, Forked, ForkFailed, Ready
from ujes.link.codec import Decoder, encode

#: What every host needs, besides the modules imported above.
_FOR_EVERY_HOST = ("pyarrow", "pyarrow.ipc", "ujes.launchers.local.rehearsal")


def main() -> None:
    parser = argparse.ArgumentParser(prog="ujes.launchers.local.warm")
    parser.add_argument("--control", type=int, required=True, help="descriptor of the socket to the gateway")
    parser.add_argument("--without", action="append", default=[], help="a module that must not be imported")
    arguments = parser.parse_args()
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # a Ctrl-C in the gateway's terminal is the gateway's to act on
    engines, left_out = _load_engines()
    left_out += _import_all(engines, frozenset(arguments.without))
    with socket.socket(fileno=arguments.control) as control:
        _WarmParent(control, engines).live(left_out)


def _load_engines() -> tuple[dict[str, type[Engine]], list[str]]:
    registry = EngineRegistry()
    engines: dict[str, type[Engine]] = {}
    left_out: list[str] = []
    for name in registry.names():
        try:
            engines[name] = registry.get(name)
        except Exception as error:  # noqa: BLE001 - the other engines are to start
            left_out.append(f"The engine {name} cannot be loaded: {error}.")
    return engines, left_out


def _import_all(engines: dict[str, type[Engine]], without: frozenset[str]) -> list[str]:
    left_out = [
        f"{name} starts threads when it is imported, so each engine imports it itself." for name in without
    ]
    for name in _names(engines):
        if name in without:
            continue
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - a library that is not installed is its engine's matter
            left_out.append(f"{name} cannot be imported: {error}.")
        if _threads() > 1:
            _begin_anew_without(name)
    return left_out


def _names(engines: dict[str, type[Engine]]) -> Iterator[str]:
    yield from _FOR_EVERY_HOST
    for engine in engines.values():
        yield from engine.warm_imports


def _begin_anew_without(name: str) -> NoReturn:
    again = [sys.executable, "-m", "ujes.launchers.local.warm", *sys.argv[1:], "--without", name]
    os.execv(sys.executable, again)  # noqa: S606 - our own program, no shell wanted


def _threads() -> int:
    try:
        return sum(1 for _ in Path("/proc/self/task").iterdir())
    except OSError:  # another system
        return threading.active_count()


class _WarmParent:
    """The loop: orders in, forks and their ends out."""

    def __init__(self, control: socket.socket, engines: dict[str, type[Engine]]) -> None:
        self._control = control
        self._engines = engines
        self._decoder: Decoder[Fork] = Decoder(Fork)
        self._tags: dict[int, str] = {}
        self._wake_in, self._wake_out = socket.socketpair()

    def live(self, left_out: list[str]) -> None:
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        signal.set_wakeup_fd(self._wake_out.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _noted)
        gc.collect()
        gc.freeze()  # what was imported stays shared with the children
        gc.disable()
        self._tell(Ready(left_out=left_out))
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(self._wake_in, selectors.EVENT_READ)
            while self._turn(selector):
                pass

    def _turn(self, selector: selectors.BaseSelector) -> bool:
        for key, _ in selector.select():
            if key.fileobj is self._wake_in:
                self._wake_in.recv(4096)
                self._reap()
            elif not self._obey():
                return False
        return True

    def _obey(self) -> bool:
        data = self._control.recv(256 * 1024)
        for fork in self._decoder.feed(data):
            self._fork(fork)
        return bool(data)

    def _fork(self, order: Fork) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            self._tell(
                ForkFailed(tag=order.order.tag, text=f"The system refused a new process: {error.strerror}.")
            )
            return
        if pid == 0:
            child.live(order, self._engines)
        born = look(pid)
        self._tags[pid] = order.order.tag
        self._tell(Forked(tag=order.order.tag, pid=pid, created=born.created if born else 0.0))

    def _reap(self) -> None:
        while self._tags:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            self._tell(Exited(tag=self._tags.pop(pid), pid=pid, code=code))

    def _tell(self, message: Ready | Forked | ForkFailed | Exited) -> None:
        try:
            self._control.sendall(encode(message))
        except OSError:
            sys.exit(0)  # the gateway is gone; its hosts wait for the next one


def _noted(_signal: int, _frame: FrameType | None) -> None:
    """The wake-up descriptor tells the loop."""


if __name__ == "__main__":
    main()
