"""Everything the process and its children write to file descriptors 1 and 2, line by line.

Theory of operation. Each run gets two pipes of its own, put in the place of descriptors 1 and 2; one reader
thread per session reads them all. What Python code prints goes the same way, so its order against
`os.write`, C libraries and child processes is kept. When a run ends the pipes are emptied once more and
become *late*: whoever still holds their other end - a server started in the background, a pool - goes on
writing without harm, and what it writes is counted and dropped until it closes them.

Threads share the descriptors of the process, so they are told apart by `sys.stdout` and `sys.stderr`: what a
thread of an earlier run prints, or any thread prints between runs, is counted and dropped, too. (A
thread that writes to the raw descriptor cannot be told apart and belongs to the run going on.)

Standard output and standard error are two pipes, whose contents have no order between them. The streams
therefore wait, at each change from one to the other, until the reader has seen what came before.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import fcntl
import io
import os
import selectors
import sys
import termios
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

Deliver = Callable[[list[str]], None]

#: a longer line is broken into several
LINE_BYTES_MAX = 8 * 1024 * 1024
_PIPE_BYTES = 1024 * 1024
_READ_BYTES = 1024 * 1024
#: after little output the reader waits this long for more: a line a time would cost both sides dearly
_GATHER_MS = 10
_GATHER_BELOW_BYTES = 64 * 1024
#: bytes of UTF-8 that continue a character look like this
_UTF8_HEAD, _UTF8_CONTINUED = 0xC0, 0x80


class Stream(io.TextIOWrapper):
    """`sys.stdout` or `sys.stderr` of user code."""

    def __init__(self, capture: Capture, descriptor: int) -> None:
        raw = io.FileIO(descriptor, "w", closefd=False)
        super().__init__(
            io.BufferedWriter(raw), encoding="utf-8", errors="backslashreplace", line_buffering=True
        )
        self._capture = capture

    def write(self, text: str) -> int:
        capture = self._capture
        if capture.is_gated and capture.drops(text):
            return len(text)
        if capture.current is not self:
            capture.change_to(self)
        return super().write(text)


class _Pipe:
    """The reading end of one pipe; without `deliver` it is late."""

    def __init__(self, descriptor: int, deliver: Deliver) -> None:
        self.descriptor = descriptor
        self.deliver: Deliver | None = deliver
        self._rest = b""

    def feed(self, content: bytes) -> None:
        content = self._rest + content if self._rest else content
        end = content.rfind(b"\n")
        self._rest = content[end + 1 :]
        if end >= 0:
            self._hand_over(content[:end])
        while len(self._rest) > LINE_BYTES_MAX:
            self._break_line()

    def finish(self) -> None:
        """The run is over: a line without its end is handed over, the rest will be late."""
        try:
            if self._rest:
                self._hand_over(self._rest)
        finally:
            self._rest = b""
            self.deliver = None

    def _break_line(self) -> None:
        end = LINE_BYTES_MAX
        while self._rest[end] & _UTF8_HEAD == _UTF8_CONTINUED:  # not within a character
            end -= 1
        line, self._rest = self._rest[:end], self._rest[end:]
        self._hand_over(line)

    def _hand_over(self, content: bytes) -> None:
        if self.deliver is not None:
            lines = content.decode("utf-8", "replace").split("\n")
            self.deliver([line.removesuffix("\r") for line in lines] if b"\r" in content else lines)


class _Reader(threading.Thread):
    """Reads all pipes of the session. Orders from other threads are carried out here, in turn."""

    def __init__(self) -> None:
        super().__init__(name="ujes-output", daemon=True)
        self._selector = selectors.DefaultSelector()
        self._calm = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        for selector in (self._selector, self._calm):
            selector.register(self._wake_read, selectors.EVENT_READ)
        self._orders: deque[tuple[Callable[[], None], threading.Event]] = deque()
        self._is_over = False
        self.late_bytes = 0
        #: the first thing that went wrong handing lines over; what came after was dropped
        self.error: Exception | None = None

    def ask(self, order: Callable[[], None]) -> None:
        """Has `order` carried out by this thread and waits for it."""
        done = threading.Event()
        self._orders.append((order, done))
        os.write(self._wake_write, b"!")
        done.wait()

    def run(self) -> None:
        while not self._is_over:
            for key, _ in self._selector.select():
                if key.data is None:
                    self._obey()
                elif self._selector.get_map().get(key.fd) is key:  # an order may just have dropped it
                    self._read(key.data)
        self._selector.close()
        self._calm.close()

    def end(self) -> None:
        self.ask(self._finish)
        self.join()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def add(self, *pipes: _Pipe) -> None:
        for pipe in pipes:
            self._selector.register(pipe.descriptor, selectors.EVENT_READ, pipe)

    def drain(self, *pipes: _Pipe) -> None:
        """Reads what is in the pipes now, and no more: somebody may go on writing."""
        for pipe in pipes:
            left = array.array("i", [0])
            if pipe.descriptor in self._selector.get_map():
                fcntl.ioctl(pipe.descriptor, termios.FIONREAD, left)
            while left[0] > 0:
                content = os.read(pipe.descriptor, min(left[0], _READ_BYTES))
                left[0] -= len(content)
                self._feed(pipe, content)

    def finish(self, *pipes: _Pipe) -> None:
        self.drain(*pipes)
        for pipe in pipes:
            self._guarded(pipe.finish)

    def _obey(self) -> None:
        os.read(self._wake_read, 1)
        order, done = self._orders.popleft()
        order()
        done.set()

    def _read(self, pipe: _Pipe) -> None:
        try:
            content = os.read(pipe.descriptor, _READ_BYTES)
        except BlockingIOError:
            return  # an order in between has drained it
        if not content:
            self._drop(pipe)
            return
        self._feed(pipe, content)
        if len(content) < _GATHER_BELOW_BYTES:
            self._calm.select(_GATHER_MS / 1000)

    def _feed(self, pipe: _Pipe, content: bytes) -> None:
        if pipe.deliver is None:
            self.late_bytes += len(content)
        else:
            self._guarded(lambda: pipe.feed(content))

    def _guarded(self, step: Callable[[], None]) -> None:
        """Output that cannot be kept must not stop the program that writes it: the run's end tells."""
        if self.error is not None:
            return
        try:
            step()
        except Exception as error:  # noqa: BLE001 - raised again by the run
            self.error = error

    def _drop(self, pipe: _Pipe) -> None:
        self._selector.unregister(pipe.descriptor)
        os.close(pipe.descriptor)
        if pipe.deliver is not None:  # the program closed its own descriptor
            self._guarded(pipe.finish)

    def _finish(self) -> None:
        for key in list(self._selector.get_map().values()):
            if key.data is not None:
                self._drop(key.data)
        self._is_over = True


class Capture:
    """Descriptors 0, 1 and 2 and the standard streams of this process, for one session."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._main_ident = threading.get_ident()
        self._main_streams = (sys.stdin, sys.stdout, sys.stderr)
        for stream in self._main_streams[1:]:
            stream.flush()
        self._saved = tuple(os.dup(descriptor) for descriptor in range(3))
        self._pipes: tuple[_Pipe, ...] = ()
        self._streams: tuple[Stream, ...] = ()
        self._broken: list[Stream] = []
        self._late_threads: dict[int, threading.Thread] = {}
        self._dropped_chars = 0
        #: the stream written to last
        self.current: Stream | None = None
        #: whether some threads' output must be held back
        self.is_gated = False
        self._is_running = False
        #: C code buffers what it prints; this is its own flush, for all its streams
        self._c_library = ctypes.CDLL(None)
        self._reader = _Reader()
        self._reader.start()
        _put("/dev/null", 0)
        self._hush()
        self._install()

    def close(self) -> None:
        self._reader.end()
        sys.stdin, sys.stdout, sys.stderr = self._main_streams
        for descriptor, saved in enumerate(self._saved):
            os.dup2(saved, descriptor)
            os.close(saved)

    def begin(self, on_output: Deliver, on_error: Deliver) -> None:
        """A run begins; its lines are handed over by the reader's thread."""
        self._reader.error = None
        self._pipes = (_lead(1, on_output), _lead(2, on_error))
        self._reader.ask(lambda: self._reader.add(*self._pipes))
        others = [thread for thread in threading.enumerate() if thread.ident != self._main_ident]
        self._late_threads = {thread.ident: thread for thread in others if thread.ident is not None}
        self._install()
        self._is_running = True
        self.is_gated = bool(self._late_threads)

    def end(self) -> None:
        """The run is over: every line written so far is handed over. Raises what that raised."""
        self._hush()
        self._c_library.fflush(None)
        for descriptor in (1, 2):
            os.dup2(self._saved[descriptor], descriptor)
        self._install()  # between runs the main thread, the host's, writes to the host's own descriptors
        self._reader.ask(lambda: self._reader.finish(*self._pipes))
        self._pipes = ()
        if self._reader.error is not None:
            raise self._reader.error

    def settle(self) -> None:
        """Returns when every line written so far has been handed over."""
        for stream in self._streams:
            _flush(stream)
        if os.getpid() == self._pid and self._pipes:
            pipes = self._pipes
            self._reader.ask(lambda: self._reader.drain(*pipes))

    def change_to(self, stream: Stream) -> None:
        """`stream` is written to after another one was."""
        is_first, self.current = self.current is None, stream
        if not is_first:
            self.settle()

    def drops(self, text: str) -> bool:
        """Whether what the calling thread prints belongs to no run; it is counted then."""
        ident = threading.get_ident()
        if ident == self._main_ident:
            return False
        # A new thread may have got the number of one that is gone.
        is_late = not self._is_running or self._late_threads.get(ident) is threading.current_thread()
        self._dropped_chars += len(text) if is_late else 0
        return is_late

    def take_dropped(self) -> int:
        """How much was dropped since the last call, in characters or bytes."""
        late_bytes, self._reader.late_bytes = self._reader.late_bytes, 0
        chars, self._dropped_chars = self._dropped_chars, 0
        return late_bytes + chars

    def _install(self) -> None:
        """The standard streams are ours again, and new ones where code has broken them."""
        self.current = None
        self._streams = self._streams or (Stream(self, 1), Stream(self, 2))
        sys.stdout, sys.stderr = self._streams
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8")

    def _hush(self) -> None:
        """From here on only the main thread is heard."""
        self._is_running = False
        self.is_gated = True
        streams = [*self._streams, sys.__stdout__, sys.__stderr__]
        unflushed = [each for each in streams if each is not None and not _flush(each)]
        if set(unflushed) & set(self._streams):
            # `print` of another thread may still use them without holding them: they must not be freed.
            self._broken += self._streams
            self._streams = ()


def _flush(stream: Any) -> bool:
    """Whether it could be done: user code may have closed or detached what it writes to."""
    try:
        stream.flush()
    except (OSError, ValueError):
        return False
    return True


def _lead(descriptor: int, deliver: Deliver) -> _Pipe:
    """Puts a new pipe in the place of `descriptor`."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    _widen(writing)
    os.dup2(writing, descriptor)
    os.close(writing)
    return _Pipe(reading, deliver)


def _widen(descriptor: int) -> None:
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(
            PermissionError
        ):  # the user has many pipes: the ordinary size is only slower
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _put(path: str, descriptor: int) -> None:
    opened = os.open(path, os.O_RDONLY)
    os.dup2(opened, descriptor)
    os.close(opened)
