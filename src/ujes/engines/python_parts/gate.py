"""Interrupts that reach user code and nothing else.

Theory of operation. `interrupt` (any thread) sends SIGINT to the main thread, which wakes every blocking
call there; the handler then looks at the gate's phase:

    CLOSED    no run                              the signal is forgotten
    SHIELDED  a run, but the engine's or host's   it is kept until user code goes on, which then
              own code is at work                 gets the KeyboardInterrupt
    OPEN      user code                           KeyboardInterrupt, here and now

Only the main thread changes the phase. `_call` is the one frame in which user code may or may not have
ended when the signal comes; an interrupt met there also leaves OPEN, so that a second one cannot hit the
code that deals with the first. CLOSED is entered under the lock `interrupt` holds while it sends, so a late
interrupt never meets the next run.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from types import FrameType
from typing import Any

_Handler = Any  # what signal.getsignal gives: a callable, a number, or None


class _Phase(Enum):
    CLOSED = "closed"
    SHIELDED = "shielded"
    OPEN = "open"


class Gate:
    """Lets interrupts through while user code runs on the main thread. Made and used there."""

    def __init__(self) -> None:
        self._phase = _Phase.CLOSED
        self._lock = threading.Lock()
        self._is_pending = False
        self._main_ident = threading.get_ident()
        self._pid = os.getpid()
        self._before: dict[int, _Handler] = {}
        self._host_handler: _Handler = signal.signal(signal.SIGINT, self._on_signal)
        #: whether `interrupt` was called during this run
        self.was_interrupted = False

    def close(self) -> None:
        signal.signal(signal.SIGINT, self._host_handler)

    def begin(self) -> None:
        """A run begins. Whatever its code does to signal handlers lasts until `end`."""
        self._before = {number: signal.getsignal(number) for number in signal.valid_signals()}
        self.was_interrupted = self._is_pending = False
        with self._lock:
            self._phase = _Phase.SHIELDED

    def end(self) -> None:
        self._phase = _Phase.SHIELDED
        with self._lock:
            self._phase = _Phase.CLOSED
        signal.setitimer(signal.ITIMER_REAL, 0)  # an alarm left ticking would end the host
        for number, handler in self._before.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)

    def interrupt(self) -> None:
        """Called from any thread, perhaps again, perhaps late."""
        with self._lock:
            if self._phase is not _Phase.CLOSED:
                self.was_interrupted = self._is_pending = True
                signal.pthread_kill(self._main_ident, signal.SIGINT)

    def call(self, function: Callable[[], None]) -> None:
        """Runs user code. A process it forked that comes back here ends: it must not run the host."""
        try:
            self._call(function)
        except BaseException:
            if os.getpid() != self._pid:
                _leave_fork(sys.exc_info()[1])
            raise
        if os.getpid() != self._pid:
            _leave_fork(None)

    def _call(self, function: Callable[[], None]) -> None:
        self._phase = _Phase.OPEN
        try:
            self._raise_pending()
            function()
        finally:
            self._phase = _Phase.SHIELDED

    @contextmanager
    def shield(self) -> Iterator[None]:
        """No interrupt within: it waits for the end. Other threads than the main one need none."""
        if threading.get_ident() != self._main_ident or self._phase is not _Phase.OPEN:
            yield
            return
        self._phase = _Phase.SHIELDED
        try:
            yield
        finally:
            self._phase = _Phase.OPEN
            self._raise_pending()

    def _raise_pending(self) -> None:
        if self._is_pending:
            self._is_pending = False
            raise KeyboardInterrupt

    def _on_signal(self, _number: int, frame: FrameType | None) -> None:
        if self._phase is _Phase.SHIELDED:
            self._is_pending = True
        elif self._phase is _Phase.OPEN:
            self._is_pending = False
            if frame is not None and frame.f_code is Gate._call.__code__:
                self._phase = _Phase.SHIELDED
            raise KeyboardInterrupt


def _leave_fork(error: BaseException | None) -> None:
    """The end of a forked child, as the interpreter would end it, without the host's exit hooks."""
    status = 0
    if isinstance(error, SystemExit):
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    elif error is not None:
        status = 1
        sys.excepthook(type(error), error, error.__traceback__)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status & 0xFF)
