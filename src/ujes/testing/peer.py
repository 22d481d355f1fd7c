"""The gateway as an engine host sees it: keeps what the host says, and loses connections when told to.

It counts lines as the real one does: `Lines` that begin behind what it has are a gap and fail the test,
those that begin before are cut.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ujes.link.codec import BrokenFrame, Decoder, encode
from ujes.link.messages import (
    LINK_VERSION,
    Ack,
    Ended,
    Forget,
    FromHost,
    Hello,
    Kept,
    Lines,
    Result,
    Run,
    Welcome,
)
from ujes.testing.signals import PATIENCE_S

if TYPE_CHECKING:
    from typing import Self


class Peer:
    """A gateway with one host. Use as a context manager; `hang_up` and `listen` in between."""

    def __init__(self, path: Path, *, acks: bool = True, forgets: bool = True, welcomes: bool = True) -> None:
        self.address = f"unix://{path}"
        self.acks = acks
        self.forgets = forgets
        self.welcomes = welcomes
        #: told of each frame before it is kept; False breaks the connection and loses the frame
        self.accepts: Callable[[FromHost], bool] = lambda _: True
        self.frames: list[FromHost] = []
        self.hellos: list[Hello] = []
        self.lines: dict[int, list[str]] = {}
        self.results: dict[int, dict[int, Result]] = {}
        self.ended: dict[int, Ended] = {}
        self.faults: list[str] = []
        self.hang_ups = 0
        self._path = path
        self._first: dict[int, int] = {}
        self._changed = threading.Condition()
        self._listener: socket.socket | None = None
        self._host: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def listen(self) -> None:
        self._path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self._path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._accept, args=(self._listener,), daemon=True)
        self._thread.start()

    def hang_up(self) -> None:
        """As a gateway that died: no connection, nobody listens."""
        for sock in (self._listener, self._host):
            if sock is not None:
                with contextlib.suppress(OSError):  # not connected
                    sock.shutdown(socket.SHUT_RDWR)
        if self._thread is not None:
            self._thread.join(PATIENCE_S)
        if self._listener is not None:
            self._listener.close()

    def send(self, message: msgspec.Struct) -> None:
        assert self._host is not None
        self._host.sendall(encode(message))

    def run(self, job: int, code: str, result_dir: Path, **env: str) -> None:
        first = self._first.setdefault(job, 1)
        self.send(
            Run(
                job=job,
                code=code,
                run_type="script",
                runtime={},
                result_dir=str(result_dir),
                first_line=first,
                env=env,
            )
        )

    def wait(self, what: Callable[[Peer], object], timeout_s: float = PATIENCE_S) -> None:
        """Returns when `what` holds. Raises `TimeoutError`, showing what was heard."""
        with self._changed:
            if not self._changed.wait_for(lambda: what(self), timeout_s):
                raise TimeoutError(f"waited in vain; heard {self.frames[-20:]}, faults {self.faults}")

    def wait_ended(self, job: int) -> Ended:
        self.wait(lambda peer: job in peer.ended)
        return self.ended[job]

    def wait_for(self, kind: type[FromHost]) -> None:
        self.wait(lambda peer: any(isinstance(frame, kind) for frame in peer.frames))

    def __enter__(self) -> Self:
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                self._host, _ = listener.accept()
            except OSError:  # hung up
                return
            with self._host:
                self._serve(self._host)
            with self._changed:
                self.hang_ups += 1
                self._changed.notify_all()

    def _serve(self, host: socket.socket) -> None:
        decoder: Decoder[FromHost] = Decoder(FromHost)
        try:
            while data := host.recv(256 * 1024):
                for frame in decoder.feed(data):
                    if not self._hear(frame):
                        return
        except BrokenFrame as error:
            with self._changed:
                self.faults.append(str(error))
        except OSError:
            return

    def _hear(self, frame: FromHost) -> bool:
        if isinstance(frame, Hello):
            return self._greet(frame)
        if not self.accepts(frame):
            return False
        with self._changed:
            self._keep(frame)
            self.frames.append(frame)
            self._changed.notify_all()
        return True

    def _greet(self, hello: Hello) -> bool:
        if self.welcomes:
            kept = [Kept(job=job, next_line=self._next_line(job)) for job in self.lines]
            forget = list(self.ended) if self.forgets else []
            self.send(Welcome(version=LINK_VERSION, kept=kept, forget=forget))
        with self._changed:
            self.hellos.append(hello)
            self._changed.notify_all()
        return self.welcomes

    def _keep(self, frame: FromHost) -> None:
        if isinstance(frame, Lines):
            self._keep_lines(frame)
        elif isinstance(frame, Result):
            self.results.setdefault(frame.job, {})[frame.index] = frame
        elif isinstance(frame, Ended):
            self.ended[frame.job] = frame
            if self.forgets:
                self.send(Forget(job=frame.job))

    def _keep_lines(self, frame: Lines) -> None:
        next_line = self._next_line(frame.job)
        if frame.first > next_line:
            self.faults.append(f"lines {next_line} to {frame.first - 1} of job {frame.job} are missing")
        self.lines.setdefault(frame.job, []).extend(frame.lines[next_line - frame.first :])
        if self.acks:
            self.send(Ack(job=frame.job, next_line=self._next_line(frame.job)))

    def _next_line(self, job: int) -> int:
        return self._first.get(job, 1) + len(self.lines.get(job, []))
