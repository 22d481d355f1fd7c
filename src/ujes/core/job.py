"""A job: one submission of code, with its durable record and its end.

Theory of operation. A job changes only through `transition(job, event, now_ms)`, which returns the
next record. The state only ever moves to the right in

    Inited  ->  Scheduled  ->  Running  ->  Succeed | Failed | Cancelled | Timeout

and the first terminal state wins: every event that reaches an ended job returns it unchanged. A kill
of a waiting job ends it at once; a kill of a placed job is *recorded* (`cancel`) and becomes Cancelled
only when the engine has let go, so that Cancelled is true when it is read. Whatever a job whose kill
was recorded reports at its end, it ends as Cancelled.

`WaitForRetry` and `Timeout` are words of the wire that later retry and timeout rules use; clients must
know them, `transition` does not produce them by itself. See `job-lifecycle.md`, section 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType
from typing import Literal, assert_never

_NOTHING: Mapping[str, str] = MappingProxyType({})


class JobState(Enum):
    """The eight words of the wire, in their legal order."""

    INITED = "Inited"
    WAIT_FOR_RETRY = "WaitForRetry"
    SCHEDULED = "Scheduled"
    RUNNING = "Running"
    SUCCEED = "Succeed"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    TIMEOUT = "Timeout"

    @property
    def is_final(self) -> bool:
        return self in _FINAL


_FINAL = frozenset({JobState.SUCCEED, JobState.FAILED, JobState.CANCELLED, JobState.TIMEOUT})

Outcome = Literal[JobState.SUCCEED, JobState.FAILED, JobState.CANCELLED]


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueKey:
    """Jobs of one key wait in one line and share one running limit."""

    run_as: str
    creator: str
    engine: str

    def __str__(self) -> str:
        return f"{self.creator}_{self.run_as}_{self.engine}"


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRequest:
    """What a client asked for, in our words. The adapter of a wire builds it."""

    #: who asked
    submitter: str
    #: as whom it runs
    run_as: str
    #: the client application
    creator: str
    #: engine type, without version
    engine: str
    #: the version part of the engine label; "" or "*" is any
    engine_version: str = ""
    #: the language: sql, python, shell ...
    run_type: str
    #: the code as the client sent it
    code: str
    #: every label as the client sent it, values as text
    labels: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    #: `params.variable`
    variables: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    #: `params.configuration.startup`: options an engine instance is created with
    startup: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    #: `params.configuration.runtime`: options of this run alone
    runtime: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    #: the `params` of the wire as JSON text, to show again
    params_json: str = "{}"
    #: where the code came from, e.g. {"scriptPath": "file:///..."}
    source: Mapping[str, str] = field(default_factory=lambda: _NOTHING)

    @property
    def queue(self) -> QueueKey:
        return QueueKey(run_as=self.run_as, creator=self.creator, engine=self.engine)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cancel:
    """A recorded wish to end a job."""

    by: str
    reason: str
    at_ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One submission and all that is durably known of it. Times are epoch milliseconds."""

    id: int
    request: JobRequest
    #: the code after variables were put in; None while it equals the request's
    run_code: str | None = None
    state: JobState = JobState.INITED
    #: 0..1
    progress: float = 0.0
    #: tag of the engine instance it was placed on
    instance: str | None = None
    #: whether that instance had run a job before
    is_reuse: bool | None = None
    #: how many engine launches failed for it
    launch_failures: int = 0
    created_at_ms: int
    updated_at_ms: int
    scheduled_at_ms: int | None = None
    running_at_ms: int | None = None
    ended_at_ms: int | None = None
    cancel: Cancel | None = None
    error_code: int | None = None
    error: str | None = None
    #: the gateway process that owns the job
    node: str = ""
    #: goes up by one with every stored change; writes compare and set on it
    version: int = 0

    @property
    def queue(self) -> QueueKey:
        return self.request.queue

    @property
    def code_to_run(self) -> str:
        return self.request.code if self.run_code is None else self.run_code

    @property
    def is_waiting(self) -> bool:
        """In line for an instance: never placed, or its instance was lost before it began."""
        return self.state is JobState.INITED or (self.state is JobState.SCHEDULED and self.instance is None)

    @property
    def is_placed(self) -> bool:
        return not self.state.is_final and self.instance is not None


# --- events: what can happen to a job ---------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Rewritten:
    """The code was rewritten before it queues."""

    run_code: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """A check at submit said no."""

    code: int
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """An instance was chosen; the run message is about to be sent."""

    instance: str
    is_reuse: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Unplaced:
    """The instance was lost before the job began on it; the job is in line again."""

    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LaunchFailed:
    """An instance launched for this job did not start; the job stays in line."""

    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Started:
    """The engine host took the job. Also says so after a restart (`instance` is then news)."""

    instance: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Progressed:
    """The engine is this far, 0..1."""

    value: float


@dataclass(frozen=True, kw_only=True, slots=True)
class CancelRequested:
    """Somebody, or a rule, wants the job ended."""

    by: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """The run is over."""

    outcome: Outcome
    code: int | None = None
    text: str | None = None


JobEvent = (
    Rewritten | Refused | Placed | Unplaced | LaunchFailed | Started | Progressed | CancelRequested | Ended
)

#: What a running job shows at least and at most.
PROGRESS_FLOOR = 0.1
PROGRESS_CEILING = 0.99
#: `errDesc` is cut here, see `entrance.md` 4.3.
ERROR_CHARS_MAX = 512


def transition(job: Job, event: JobEvent, now_ms: int) -> Job:
    """The record after `event`. An ended job, or an event that does not fit, returns `job` itself.

    Progress alone is not stored, so it leaves the version as it is.
    """
    if job.state.is_final:
        return job
    after = _apply(job, event, now_ms)
    if after is job:
        return job
    step = 0 if isinstance(event, Progressed) else 1
    return replace(after, updated_at_ms=now_ms, version=job.version + step)


def _apply(job: Job, event: JobEvent, now_ms: int) -> Job:
    match event:
        case Rewritten():
            is_news = job.is_waiting and event.run_code != job.run_code
            return replace(job, run_code=event.run_code) if is_news else job
        case Refused():
            return _refuse(job, event, now_ms)
        case Placed():
            return _place(job, event, now_ms)
        case Unplaced():
            return _unplace(job, now_ms)
        case LaunchFailed():
            return replace(job, launch_failures=job.launch_failures + 1) if job.is_waiting else job
        case Started():
            return _start(job, event, now_ms)
        case Progressed():
            return _progress(job, event.value)
        case CancelRequested():
            return _cancel(job, event, now_ms)
        case Ended():
            return _finish(job, event, now_ms)
        case _:
            assert_never(event)


def _refuse(job: Job, event: Refused, now_ms: int) -> Job:
    if job.state is not JobState.INITED:
        return job
    return _end(job, JobState.FAILED, now_ms, event.code, event.text)


def _place(job: Job, event: Placed, now_ms: int) -> Job:
    if not job.is_waiting:
        return job
    return replace(
        job,
        state=JobState.SCHEDULED,
        instance=event.instance,
        is_reuse=event.is_reuse,
        scheduled_at_ms=now_ms,
    )


def _unplace(job: Job, now_ms: int) -> Job:
    if job.state is not JobState.SCHEDULED or job.instance is None:
        return job
    unplaced = replace(job, instance=None, is_reuse=None)
    if job.cancel is None:
        return unplaced
    return _end(unplaced, JobState.CANCELLED, now_ms, None, job.cancel.reason)


def _start(job: Job, event: Started, now_ms: int) -> Job:
    if job.state is JobState.RUNNING:
        return job
    return replace(
        job,
        state=JobState.RUNNING,
        instance=event.instance,
        scheduled_at_ms=job.scheduled_at_ms if job.scheduled_at_ms is not None else now_ms,
        running_at_ms=now_ms,
        progress=PROGRESS_FLOOR,
    )


def _progress(job: Job, value: float) -> Job:
    if job.state is not JobState.RUNNING or not 0.0 <= abs(value) <= 1.0:
        return job
    shown = min(max(abs(value), PROGRESS_FLOOR), PROGRESS_CEILING)
    return replace(job, progress=shown) if shown > job.progress else job


def _cancel(job: Job, event: CancelRequested, now_ms: int) -> Job:
    if job.cancel is not None:
        return job
    wish = Cancel(by=event.by, reason=event.reason, at_ms=now_ms)
    if job.instance is not None:
        return replace(job, cancel=wish)
    return _end(replace(job, cancel=wish), JobState.CANCELLED, now_ms, None, event.reason)


def _finish(job: Job, event: Ended, now_ms: int) -> Job:
    if job.cancel is not None:
        return _end(job, JobState.CANCELLED, now_ms, None, job.cancel.reason)
    if event.outcome is JobState.SUCCEED:
        return _end(job, JobState.SUCCEED, now_ms, None, None)
    text = event.text or "The engine gave no reason."
    return _end(job, event.outcome, now_ms, event.code, text)


def _end(job: Job, state: JobState, now_ms: int, code: int | None, text: str | None) -> Job:
    return replace(
        job,
        state=state,
        progress=1.0,
        ended_at_ms=now_ms,
        error_code=code if state is JobState.SUCCEED else (code or 0),
        error=None if text is None else shorten(text),
    )


def shorten(text: str) -> str:
    """Cut an error to what the wire may carry, with `...` at the end."""
    return text if len(text) <= ERROR_CHARS_MAX else text[: ERROR_CHARS_MAX - 3] + "..."
