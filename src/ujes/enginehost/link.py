"""The host's end of the link: one thread that dials, says what the outbox holds, and hears the gateway.

It never gives up dialling by itself. What it cannot know alone - whether a job runs, what to do about a
message - it asks the host. A thread that has something new to say calls `wake`; frames are built only
when the socket takes more, so one line leaves at once and many leave together.

Signals arrive here, too: the wake-up socket is also the process's signal wake-up descriptor, for the main
thread may be deep in an engine's C code when one comes.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, assert_never

import msgspec

from ujes.enginehost.outbox import Outbox
from ujes.link.codec import BrokenFrame, Decoder, encode
from ujes.link.messages import (
    LINK_VERSION,
    Ack,
    Forget,
    FromGateway,
    Hello,
    Interrupt,
    Leaving,
    Opened,
    OpenFailed,
    Run,
    Stop,
    Welcome,
)

log = logging.getLogger(__name__)

DIAL_TIMEOUT_S = 5.0
BACK_OFF_MIN_S = 0.010
BACK_OFF_MAX_S = 0.5
#: Connections the gateway may close without a Welcome, one after the other, before the host gives up.
REFUSALS_MAX = 10
#: How often the link of a running job looks around even if nobody woke it: a writer that was interrupted may
#: have failed to.
_LOOK_AROUND_S = 0.25
#: Frames are put together up to this size while the socket takes them.
_SEND_BYTES = 64 * 1024


class Listener(Protocol):
    """What the link asks and tells its host, from the link's thread; nothing here may block for long."""

    def hello(self) -> Hello: ...
    def verdict(self) -> Opened | OpenFailed | None:
        """How opening the engine ended, once it did."""

    def is_busy(self) -> bool:
        """A job runs, so the host must not leave."""

    def on_run(self, run: Run) -> None: ...
    def on_interrupt(self, job: int) -> None: ...
    def on_forget(self) -> None:
        """Some jobs were forgotten."""

    def on_stop(self, reason: str) -> None: ...
    def on_orphaned(self, reason: str) -> None:
        """There is no gateway for this host any more."""


@dataclass(kw_only=True, slots=True)
class _Talk:
    """One connection."""

    sock: socket.socket
    decoder: Decoder[FromGateway] = field(default_factory=lambda: Decoder(FromGateway))
    out: bytes = b""
    is_welcome: bool = False
    is_verdict_sent: bool = False
    #: the host said that it leaves
    is_leaving_sent: bool = False


class Link:
    """Dials and redials until told to finish. `start` once, `finish` once."""

    def __init__(
        self,
        outbox_size_bytes: int,
        dial: Callable[[], socket.socket],
        listener: Listener,
        orphan_timeout_s: float,
    ) -> None:
        self.outbox = Outbox(self.wake, outbox_size_bytes)
        self._dial = dial
        self._listener = listener
        self._orphan_timeout_s = orphan_timeout_s
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._talk: _Talk | None = None
        self._is_awake = False
        self._refusals = 0
        self._lost_at_s = time.monotonic()
        self._is_orphan_told = False
        self._finish_by_s: float | None = None
        self._farewell: Leaving | None = None
        self._thread = threading.Thread(target=self._live, name="link", daemon=True)

    # --- the host's side --------------------------------------------------------------------------

    def start(self) -> None:
        """Called from the main thread, where signal handling is set."""
        signal.set_wakeup_fd(self._wake_out.fileno(), warn_on_full_buffer=False)
        self._thread.start()

    def wake(self) -> None:
        if not self._is_awake:
            self._is_awake = True
            self._prod(b"\0")

    def finish(self, farewell: Leaving | None, timeout_s: float) -> None:
        """Let the gateway confirm what it can within the time, say farewell, and end the thread."""
        self._farewell = farewell
        self._finish_by_s = time.monotonic() + timeout_s
        self._prod(b"\0")
        self._thread.join(timeout_s + DIAL_TIMEOUT_S)

    def leave_to_parent(self) -> None:
        """Called in a process that a job forked: the link is its parent's.

        Signals the child gets are its own, and the gateway must see the link end with the host, however
        long the child lives on.
        """
        signal.set_wakeup_fd(-1)
        self._is_awake = True
        for sock in (self._wake_in, self._wake_out, *([self._talk.sock] if self._talk else [])):
            sock.close()

    def _prod(self, byte: bytes) -> None:
        with contextlib.suppress(BlockingIOError):  # so full of wake-ups that one more changes nothing
            self._wake_out.send(byte)

    # --- the thread -------------------------------------------------------------------------------

    def _live(self) -> None:
        back_off_s = BACK_OFF_MIN_S
        while not self._is_over(None):
            try:
                talk = self._talk = _Talk(sock=self._dial())
            except OSError:
                talk = None
            if talk is not None and self._converse(talk):
                back_off_s = BACK_OFF_MIN_S
            if not self._is_over(None):
                self._pause(back_off_s)
                back_off_s = min(2 * back_off_s, BACK_OFF_MAX_S)

    def _converse(self, talk: _Talk) -> bool:
        """Talk until the connection breaks or all is said. True when the gateway welcomed the host."""
        talk.out = encode(self._listener.hello())
        try:
            with talk.sock, selectors.DefaultSelector() as selector:
                selector.register(self._wake_in, selectors.EVENT_READ)
                selector.register(talk.sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
                while not self._is_over(talk):
                    self._turn(talk, selector)
        except (OSError, EOFError) as error:
            log.info("the link broke: %s", error)
        except BrokenFrame as error:
            log.warning("the gateway sent a broken frame, the link is made anew: %s", error)
        if talk.is_welcome:
            self._lost_at_s = time.monotonic()
        self._refusals = 0 if talk.is_welcome else self._refusals + 1
        return talk.is_welcome

    def _turn(self, talk: _Talk, selector: selectors.BaseSelector) -> None:
        for key, events in selector.select(self._patience_s(talk)):
            if key.fileobj is self._wake_in:
                self._hear_wake()
            elif events & selectors.EVENT_READ:
                self._hear(talk)
        self._is_awake = False
        self._say(talk)
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if talk.out else 0)
        if selector.get_key(talk.sock).events != wanted:
            selector.modify(talk.sock, wanted)

    def _patience_s(self, talk: _Talk) -> float | None:
        if self._finish_by_s is not None:
            return max(0.0, self._finish_by_s - time.monotonic())
        if not talk.is_welcome:
            return max(0.01, self._lost_at_s + self._orphan_timeout_s - time.monotonic())
        return _LOOK_AROUND_S if self._listener.is_busy() else None

    def _is_over(self, talk: _Talk | None) -> bool:
        """Whether to end the thread, or, before a Welcome, to give up this connection."""
        if self._finish_by_s is None:
            return talk is not None and not talk.is_welcome and self._is_orphan()
        if time.monotonic() >= self._finish_by_s or talk is None:
            return True
        return talk.is_leaving_sent and not talk.out

    # --- saying -----------------------------------------------------------------------------------

    def _say(self, talk: _Talk) -> None:
        while True:
            if not talk.out:
                talk.out = self._more(talk)
            if not talk.out:
                return
            try:
                sent = talk.sock.send(talk.out)
            except BlockingIOError:
                return
            talk.out = talk.out[sent:]

    def _more(self, talk: _Talk) -> bytes:
        parts: list[bytes] = []
        size_bytes = 0
        while size_bytes < _SEND_BYTES and (frame := self._next_frame(talk)) is not None:
            parts.append(encode(frame))
            size_bytes += len(parts[-1])
        return b"".join(parts)

    def _next_frame(self, talk: _Talk) -> msgspec.Struct | None:
        if not talk.is_welcome or talk.is_leaving_sent:
            return None
        if not talk.is_verdict_sent and (verdict := self._listener.verdict()) is not None:
            talk.is_verdict_sent = True
            return verdict
        if (frame := self.outbox.next_frame()) is not None:
            return frame
        return self._next_farewell(talk)

    def _next_farewell(self, talk: _Talk) -> Leaving | None:
        """The last frame, once the gateway has confirmed everything."""
        if self._finish_by_s is None or self.outbox.jobs():
            return None
        talk.is_leaving_sent = True
        return self._farewell

    # --- hearing ----------------------------------------------------------------------------------

    def _hear_wake(self) -> None:
        """Empty the wake-up socket; a byte that is not zero is the number of a signal."""
        if signal.SIGTERM in self._wake_in.recv(4096):
            self._listener.on_stop("it was asked to end by SIGTERM")

    def _hear(self, talk: _Talk) -> None:
        try:
            data = talk.sock.recv(256 * 1024)
        except BlockingIOError:
            return
        if not data:
            raise EOFError("the gateway closed the connection")
        for message in talk.decoder.feed(data):
            self._handle(talk, message)

    def _handle(self, talk: _Talk, message: FromGateway) -> None:
        if isinstance(message, Welcome):
            self._on_welcome(talk, message)
            return
        if not talk.is_welcome:
            raise BrokenFrame(f"the gateway said {type(message).__name__} before Welcome")
        match message:
            case Run():
                self._listener.on_run(message)
            case Interrupt():
                self._listener.on_interrupt(message.job)
            case Ack():
                self.outbox.acknowledge(message.job, message.next_line)
            case Forget():
                self.outbox.forget(message.job)
                self._listener.on_forget()
            case Stop():
                self._listener.on_stop(message.reason)
            case _:
                assert_never(message)

    def _on_welcome(self, talk: _Talk, welcome: Welcome) -> None:
        if welcome.version != LINK_VERSION:
            raise EOFError(f"the gateway speaks link version {welcome.version}, this host {LINK_VERSION}")
        self.outbox.reconnect(welcome.kept, welcome.forget)
        self._listener.on_forget()
        talk.is_welcome = True

    # --- alone ------------------------------------------------------------------------------------

    def _pause(self, delay_s: float) -> None:
        """Wait before dialling again. Wake-ups do not shorten it, signals and the end do."""
        until_s = time.monotonic() + delay_s
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_in, selectors.EVENT_READ)
            while (left_s := until_s - time.monotonic()) > 0 and self._finish_by_s is None:
                if selector.select(left_s):
                    self._hear_wake()
        self._is_orphan()

    def _is_orphan(self) -> bool:
        """Tells the host once when no gateway will have it any more and nothing runs."""
        reason = self._orphan_reason()
        if reason is None or self._listener.is_busy():
            return False
        if not self._is_orphan_told:
            self._is_orphan_told = True
            self._listener.on_orphaned(reason)
        return True

    def _orphan_reason(self) -> str | None:
        if self._refusals >= REFUSALS_MAX:
            return f"the gateway refused this host {self._refusals} times"
        if time.monotonic() - self._lost_at_s >= self._orphan_timeout_s:
            return f"there was no gateway for {self._orphan_timeout_s:g} s"
        return None
