"""Meeting points between a test and the processes it watches, by name and without sleeping.

A `SignalBoard` listens on a unix socket that scripted engines are told of (startup option
`scripted.board`). An engine *reaches* a signal and goes on; the test waits for it with `wait_reached`.
An engine *awaits* a signal and stands still until the test calls `release`, before or after. Signals stay
set, so the order in which both sides come does not matter, and the board outlives a killed gateway.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import socket
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from ujes.gateway.signals import KILL_AT

if TYPE_CHECKING:
    from typing import Self

#: Tests give up after this; nothing waits so long that works.
PATIENCE_S = 30.0


class SignalBoard:
    """The test's side. Use as a context manager."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="ujes-board-"))
        self.path = self._folder / "board.sock"
        self._changed = threading.Condition()
        self._reached: dict[str, int] = {}
        self._released: set[str] = set()
        self._is_closed = False
        self._threads: list[threading.Thread] = []
        self._visitors: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self.path))
        self._listener.listen(64)
        self._begin(self._accept)

    def release(self, name: str) -> None:
        """Let everybody go on who awaits `name`, now or later."""
        with self._changed:
            self._released.add(name)
            self._changed.notify_all()

    def wait_reached(self, name: str, times: int = 1, timeout_s: float = PATIENCE_S) -> None:
        """Returns when `name` was reached (or awaited) so many times. Raises `TimeoutError`."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._reached.get(name, 0) >= times, timeout_s):
                raise TimeoutError(f"{name} was not reached {times} times; reached: {self._reached}")

    def times_reached(self, name: str) -> int:
        with self._changed:
            return self._reached.get(name, 0)

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        for sock in (self._listener, *self._visitors):
            _shut(sock)
        for thread in self._threads:
            thread.join(PATIENCE_S)
        shutil.rmtree(self._folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                visitor, _ = self._listener.accept()
            except OSError:  # closed
                return
            with self._changed:
                self._visitors.append(visitor)
            self._begin(self._serve, visitor)

    def _serve(self, visitor: socket.socket) -> None:
        with visitor, visitor.makefile("r", encoding="utf-8") as lines:
            verb, _, name = lines.readline().rstrip("\n").partition(" ")
            with self._changed:
                self._reached[name] = self._reached.get(name, 0) + 1
                self._changed.notify_all()
                if verb == "await":
                    self._changed.wait_for(lambda: self._is_closed or name in self._released)
            with contextlib.suppress(OSError):  # the engine was interrupted or killed while it waited
                visitor.sendall(b"go\n")


class Visitor:
    """The engine's side: one exchange with a board at a time, which another thread can break off."""

    def __init__(self, board: str) -> None:
        self._board = board
        self._broken_off, self._break = os.pipe()

    def reach(self, name: str) -> None:
        self._exchange("reach", name)

    def wait(self, name: str) -> bool:
        """True when the test released `name`, False when the wait was broken off."""
        return self._exchange("await", name)

    def break_off(self) -> None:
        os.write(self._break, b"x")

    def clear(self) -> None:
        """Forget a break that came when nobody waited."""
        while select.select([self._broken_off], [], [], 0)[0]:
            os.read(self._broken_off, 1024)

    def _exchange(self, verb: str, name: str) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.connect(self._board)
            sock.sendall(f"{verb} {name}\n".encode())
            ready, _, _ = select.select([sock.fileno(), self._broken_off], [], [])
            return sock.fileno() in ready


def killed_at(name: str) -> dict[str, str]:
    """Environment for a gateway that kills itself, as by SIGKILL, when it reaches the signal `name`."""
    return {KILL_AT: name}


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # nobody is connected any more
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()
