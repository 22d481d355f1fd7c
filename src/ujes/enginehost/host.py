"""The engine host: opens one engine, runs one job after the other on it, and tells the gateway.

Threads. The main thread alone runs engine code, because signals and many libraries want it so. The link
thread talks to the gateway and hands jobs over through a queue. A third looks at the engine's progress.
An interrupt gets a short-lived thread of its own: an engine may need a moment for it, in which the link
has to go on.

An interrupt hits the job it means, never the next: the engine is interrupted only while the gate is held
and the job is inside the engine, and the main thread leaves the engine through the same gate. SIGINT,
by which some engines interrupt code, reaches an engine's handler only inside that engine's `run`.
"""

from __future__ import annotations

import errno
import logging
import os
import queue
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from ujes.core.errors import CodeFailed, EngineLost, InternalError, StorageFull
from ujes.enginehost import descendants, evidence
from ujes.enginehost.link import Link
from ujes.enginehost.order import HostOrder
from ujes.enginehost.outbox import SIZE_BYTES_MAX
from ujes.enginehost.output import JobLog, JobOutput
from ujes.enginehost.progress import Watcher
from ujes.engines.engine import Engine, EngineError, Interrupted
from ujes.link.messages import LINK_VERSION, Ended, Hello, Leaving, Opened, OpenFailed, Run

log = logging.getLogger(__name__)

#: How long the gateway may take to confirm what a leaving host still has.
FAREWELL_S = 2.0
#: How long the processes of a cancelled job may take to go after SIGKILL.
DESCENDANTS_S = 5.0
#: Engines are interrupted again after this.
INTERRUPT_AGAIN_S = 0.2
#: Longest text of an error.
ERROR_CHARS_MAX = 64 * 1024
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(kw_only=True)
class _Current:
    """The job the host has now."""

    run: Run
    is_interrupted: bool = False
    #: why the host leaves in the middle of it; nobody killed the job
    cut_off_by: str | None = None
    is_in_engine: bool = False
    has_left: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, kw_only=True)
class _Leave:
    reason: str


class Host:
    """One host. Call `live` once, on the main thread."""

    def __init__(
        self,
        order: HostOrder,
        engine: Callable[[], Engine],
        dial: Callable[[], socket.socket],
        outbox_size_bytes: int = SIZE_BYTES_MAX,
        after_job: Callable[[], object] = lambda: None,
    ) -> None:
        self._order = order
        self._after_job = after_job
        self._make_engine = engine
        self._work_dir = Path(order.work_dir)
        self._link = Link(outbox_size_bytes, dial, self, order.orphan_timeout_s)
        self._outbox = self._link.outbox
        self._to_do: queue.SimpleQueue[_Current | _Leave] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._gate = threading.Lock()
        self._engine: Engine | None = None
        self._current: _Current | None = None
        self._verdict: Opened | OpenFailed | None = None
        self._leaving: str | None = None
        self._interrupter: threading.Thread | None = None
        self._env_of_job: tuple[str, ...] = ()
        #: signals blocked before a fork, by the thread that forks
        self._forking = threading.local()
        self._engine_sigint: Any = _ignore

    def live(self) -> int:
        """Returns the exit status when there is nothing more to do."""
        signal.signal(signal.SIGTERM, _ignore)
        signal.signal(signal.SIGINT, _ignore)
        os.register_at_fork(
            before=self._hold_sigterm,
            after_in_parent=self._release_sigterm,
            after_in_child=self._leave_to_parent,
        )
        self._link.start()
        engine = self._open()
        if engine is None:
            if self._engine is not None:
                _close(self._engine)
            return self._leave(None)
        reason = self._work(engine)
        log.info("leaving: %s", reason)
        _close(engine)
        return self._leave(Leaving(reason=reason))

    # --- the main thread --------------------------------------------------------------------------

    def _open(self) -> Engine | None:
        try:
            self._engine = self._make_engine()
            self._verdict = Opened(banner=self._engine.open())
        except EngineError as error:
            self._verdict = OpenFailed(code=error.code, text=_short(error.text))
        except Exception as error:
            log.exception("the engine could not be opened")
            self._verdict = OpenFailed(code=InternalError.code, text=_bug(error))
        self._engine_sigint = signal.signal(signal.SIGINT, _ignore)
        self._link.wake()
        return self._engine if isinstance(self._verdict, Opened) else None

    def _work(self, engine: Engine) -> str:
        with Watcher(engine, self._outbox) as watcher:
            while True:
                to_do = self._to_do.get()
                if isinstance(to_do, _Leave):
                    return to_do.reason
                self._run(engine, watcher, to_do)

    def _run(self, engine: Engine, watcher: Watcher, current: _Current) -> None:
        spared = descendants.known()
        self._set_environment(current.run.env)
        try:
            error = self._attempt(engine, watcher, current)
        except KeyboardInterrupt as late:  # it came after the engine's code, or a second time
            error = late
        self._deaf_to_sigint(current)
        watcher.rest()
        ended = _ended(current, error)
        if current.is_interrupted:
            descendants.end_others(spared, DESCENDANTS_S)
        with self._lock:
            self._current = None
            self._outbox.end(ended)
        self._after_job()

    def _deaf_to_sigint(self, current: _Current) -> None:
        """A SIGINT that was on its way may still arrive up to the moment the handler is changed."""
        is_deaf = False
        while not is_deaf:
            try:
                if signal.getsignal(signal.SIGINT) is not _ignore:
                    self._engine_sigint = signal.signal(signal.SIGINT, _ignore)
                is_deaf = True
            except KeyboardInterrupt:
                current.is_interrupted = True
        with self._gate:
            current.is_in_engine = False
            current.has_left.set()

    def _attempt(self, engine: Engine, watcher: Watcher, current: _Current) -> BaseException | None:
        """Runs the job; whatever an engine lets through, the job must end."""
        try:
            self._run_statements(engine, watcher, current)
        except BaseException as error:  # noqa: BLE001 - `_ended` tells them apart
            return error
        return None

    def _run_statements(self, engine: Engine, watcher: Watcher, current: _Current) -> None:
        run = current.run
        job_log = JobLog(self._outbox, run.job, self._order.log_bytes_max)
        out = JobOutput(self._outbox, job_log, run.job, Path(run.result_dir), run.runtime)
        self._enter(current)
        statements = engine.split(run.code)
        for index, statement in enumerate(statements):
            watcher.watch(run.job, index, len(statements))
            out.echo(self._order.tag, statement)
            if current.is_interrupted:
                raise Interrupted
            engine.run(statement, out)

    def _enter(self, current: _Current) -> None:
        """From here on interrupts reach the engine, until `_deaf_to_sigint`."""
        with self._gate:
            if current.is_interrupted:
                raise Interrupted
            current.is_in_engine = True
        signal.signal(signal.SIGINT, self._engine_sigint)

    def _set_environment(self, env: dict[str, str]) -> None:
        for name in self._env_of_job:
            os.environ.pop(name, None)
        self._env_of_job = tuple(env)
        os.environ.update(env)

    def _hold_sigterm(self) -> None:
        """A child may be sent one before it could say that it is no host."""
        self._forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))

    def _release_sigterm(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._forking.mask)

    def _leave_to_parent(self) -> None:
        """In a process that a job forked: it is no host, and SIGTERM ends it as it does any other."""
        self._link.leave_to_parent()
        if signal.getsignal(signal.SIGTERM) is _ignore:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self._release_sigterm()

    def _leave(self, farewell: Leaving | None) -> int:
        descendants.end_others(frozenset(), DESCENDANTS_S)
        self._link.finish(farewell, FAREWELL_S)
        evidence.write_outbox(self._work_dir, self._outbox.unconfirmed())
        return 0 if farewell is not None else 1

    # --- the link's thread ------------------------------------------------------------------------

    def hello(self) -> Hello:
        return Hello(
            version=LINK_VERSION,
            tag=self._order.tag,
            token=self._order.token,
            pid=os.getpid(),
            engine=self._order.engine,
            phase="opening" if self._verdict is None else "open",
            jobs=self._outbox.jobs(),
        )

    def verdict(self) -> Opened | OpenFailed | None:
        return self._verdict

    def is_busy(self) -> bool:
        return self._current is not None

    def on_run(self, run: Run) -> None:
        if any(each.job == run.job for each in self._outbox.jobs()):
            return
        try:
            with self._lock:
                refusal, code = self._refusal(run.job), EngineLost.code
                if refusal is None:
                    self._take(run)
                    return
        except OSError as error:
            if error.errno not in _DISK_FULL:
                # Nothing of the job has begun: the gateway gives it to another engine.
                self.on_stop(f"its folder cannot be written: {error.strerror}")
                return
            refusal, code = _disk_full(error), StorageFull.code
        self._outbox.begin(run.job, run.first_line)
        self._outbox.end(Ended(job=run.job, outcome="failed", code=code, text=refusal))

    def _refusal(self, job: int) -> str | None:
        if self._leaving is not None:
            return f"The engine {self._order.tag} was about to leave: {self._leaving}."
        if self._current is not None:
            return (
                f"The engine {self._order.tag} was given job {job} while it runs job {self._current.run.job}."
            )
        return None

    def _take(self, run: Run) -> None:
        """The evidence comes first: from here on the job may have had effects. Raises OSError."""
        jobs = [each.job for each in self._outbox.jobs()]
        evidence.write_running(self._work_dir, [*jobs, run.job])
        self._outbox.begin(run.job, run.first_line)
        self._current = _Current(run=run)
        self._to_do.put(self._current)

    def on_interrupt(self, job: int) -> None:
        current = self._current
        if current is None or current.run.job != job:
            return
        current.is_interrupted = True
        self._outbox.hurry(job)
        if self._interrupter is None or not self._interrupter.is_alive():
            self._interrupter = threading.Thread(
                target=self._interrupt, args=(current,), name="interrupter", daemon=True
            )
            self._interrupter.start()

    def _interrupt(self, current: _Current) -> None:
        """Again and again while the job is in the engine: the first may have come between two statements."""
        while not current.has_left.is_set():
            with self._gate:
                if current.is_in_engine and self._engine is not None:
                    _interrupt(self._engine)
            current.has_left.wait(INTERRUPT_AGAIN_S)

    def on_forget(self) -> None:
        try:
            evidence.write_running(self._work_dir, [each.job for each in self._outbox.jobs()])
        except OSError as error:  # what is left names jobs that are over, which does no harm
            log.warning("the record of jobs cannot be written: %s", error)

    def on_stop(self, reason: str) -> None:
        with self._lock:
            if self._leaving is not None:
                return
            self._leaving = reason
            current = self._current
        if current is not None:
            if not current.is_interrupted:
                current.cut_off_by = reason
            self.on_interrupt(current.run.job)
        self._to_do.put(_Leave(reason=reason))

    def on_orphaned(self, reason: str) -> None:
        if self._verdict is None:
            self._abandon(reason)
        self.on_stop(reason)

    def _abandon(self, reason: str) -> None:
        """The engine does not even open, so the main thread cannot be asked to leave."""
        log.error("leaving while the engine opens: %s", reason)
        descendants.end_others(frozenset(), DESCENDANTS_S)
        os._exit(1)


def _ignore(_signal: int, _frame: FrameType | None) -> None:
    """Not SIG_IGN: that would be inherited by the programs that jobs start."""


def _interrupt(engine: Engine) -> None:
    try:
        engine.interrupt()
    except Exception:  # the gateway ends an engine that does not let go
        log.exception("the engine could not be interrupted")


def _close(engine: Engine) -> None:
    try:
        engine.close()
    except Exception:  # the process ends in any case
        log.exception("the engine could not be closed")


def _ended(current: _Current, error: BaseException | None) -> Ended:
    """How the job ended. One that was told to end is cancelled, whatever came of it."""
    job = current.run.job
    if current.cut_off_by is not None:
        return _cut_off(job, current.cut_off_by, error)
    if current.is_interrupted or isinstance(error, (Interrupted, KeyboardInterrupt)):
        return Ended(job=job, outcome="cancelled")
    if error is None:
        return Ended(job=job, outcome="succeed")
    code, text = _code_and_text(error, job)
    return Ended(job=job, outcome="failed", code=code, text=_short(text))


def _cut_off(job: int, reason: str, error: BaseException | None) -> Ended:
    """Nobody killed the job, so it is not cancelled; it may have ended by itself in time."""
    if error is None:
        return Ended(job=job, outcome="succeed")
    text = f"The engine had to leave before the job ended: {reason}."
    return Ended(job=job, outcome="failed", code=EngineLost.code, text=text)


def _code_and_text(error: BaseException, job: int) -> tuple[int, str]:
    if isinstance(error, EngineError):
        return error.code, error.text
    if isinstance(error, OSError) and error.errno in _DISK_FULL:
        return StorageFull.code, _disk_full(error)
    if isinstance(error, MemoryError):
        return (
            CodeFailed.code,
            "The engine's memory limit was reached. Use less data at once, or ask for more.",
        )
    log.error("the engine failed in job %s", job, exc_info=error)
    return InternalError.code, _bug(error)


def _disk_full(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    return f"There is no space left on the disk{where}. Free some and run the job again."


def _bug(error: BaseException) -> str:
    return (
        f"The engine failed by a mistake of its own: {type(error).__name__}: {error}. "
        "The details are in the engine's host.log."
    )


def _short(text: str) -> str:
    if len(text) > ERROR_CHARS_MAX:
        text = text[:ERROR_CHARS_MAX] + "..."
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
