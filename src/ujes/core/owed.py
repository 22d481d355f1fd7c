"""What a stored record still needs done: the next step, or nothing.

Both functions read the record as it stands, together with what is seen of the process, and name one step.
They are asked again after every change, after every broken connection and after a restart; that the answer
depends on nothing else is what makes stop, crash and restart the same code.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ujes.core.errors import EngineLost
from ujes.core.instance import (
    Broke,
    EngineInstance,
    Gone,
    InstanceEvent,
    InstanceStatus,
    InstanceTarget,
    StopRequested,
)
from ujes.core.job import Ended, Job, JobEvent, JobState, Unplaced


@dataclass(frozen=True, kw_only=True, slots=True)
class Times:
    """How long things may take."""

    start_timeout_ms: int
    interrupt_grace_ms: int
    adopt_timeout_ms: int
    idle_timeout_ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What is known of an instance's process right now."""

    is_linked: bool
    #: since when there is no link
    unlinked_since_ms: int
    #: how the process ended; None while it lives or nobody has looked
    ended: str | None = None


class Do(Enum):
    """Acts that are not mere changes of a record."""

    SEND_RUN = "send the run message"
    INTERRUPT = "ask the engine to end the job"
    LAUNCH = "start the process"
    STOP = "end the process"


# --- jobs ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What the host of a placed job was already told over the present link."""

    run: bool = False
    interrupt: bool = False


def owed_to_job(
    job: Job, instance: EngineInstance | None, seen: Seen, said: Said, times: Times, now_ms: int
) -> Do | JobEvent | StopRequested | None:
    """The next step of a placed job; `StopRequested` is meant for its instance."""
    if not job.is_placed:
        return None
    if instance is None or instance.status.is_final:
        return _after_loss(job, instance)
    if job.cancel is not None:
        return _cancelling(job, seen, said, times, now_ms)
    if job.state is JobState.SCHEDULED and seen.is_linked and not said.run:
        return Do.SEND_RUN
    return None


def _after_loss(job: Job, instance: EngineInstance | None) -> JobEvent:
    reason = (instance.reason if instance else None) or "its record is gone"
    if job.cancel is not None:
        return Ended(outcome=JobState.CANCELLED)
    if job.state is JobState.SCHEDULED:
        return Unplaced(reason=reason)
    text = f"The engine process ended before the job did: {reason}."
    return Ended(outcome=JobState.FAILED, code=EngineLost.code, text=text)


def _cancelling(job: Job, seen: Seen, said: Said, times: Times, now_ms: int) -> Do | StopRequested | None:
    assert job.cancel is not None
    if now_ms - job.cancel.at_ms >= times.interrupt_grace_ms:
        return StopRequested(reason=f"job {job.id} was killed and did not let go")
    if seen.is_linked and not said.interrupt:
        return Do.INTERRUPT
    return None


# --- instances ----------------------------------------------------------------------------------


def owed_to_instance(
    instance: EngineInstance, seen: Seen, times: Times, now_ms: int, *, is_spare: bool = False
) -> Do | InstanceEvent | None:
    """The next step of an instance."""
    if instance.status.is_final:
        return None
    if seen.ended is not None and not seen.is_linked:
        return _after_end(instance, seen.ended)
    if instance.target is InstanceTarget.STOPPED:
        return Do.STOP
    if instance.status is InstanceStatus.REQUESTED:
        return Do.LAUNCH
    if instance.status is InstanceStatus.STARTING:
        return _starting(instance, times, now_ms)
    if not seen.is_linked:
        return _unlinked(seen, times, now_ms)
    return _idle(instance, times, now_ms, is_spare=is_spare)


def _after_end(instance: EngineInstance, how: str) -> InstanceEvent:
    return Gone() if instance.target is InstanceTarget.STOPPED else Broke(reason=how)


def _starting(instance: EngineInstance, times: Times, now_ms: int) -> InstanceEvent | None:
    if now_ms - instance.created_at_ms < times.start_timeout_ms:
        return None
    return StopRequested(reason=f"it was not ready within {times.start_timeout_ms / 1000:g} s")


def _unlinked(seen: Seen, times: Times, now_ms: int) -> InstanceEvent | None:
    if now_ms - seen.unlinked_since_ms < times.adopt_timeout_ms:
        return None
    return StopRequested(reason=f"it did not dial in within {times.adopt_timeout_ms / 1000:g} s")


def _idle(instance: EngineInstance, times: Times, now_ms: int, *, is_spare: bool) -> InstanceEvent | None:
    if instance.status is not InstanceStatus.IDLE or instance.idle_since_ms is None:
        return None
    if is_spare or times.idle_timeout_ms <= 0:
        return None
    if now_ms - instance.idle_since_ms < times.idle_timeout_ms:
        return None
    return StopRequested(reason=f"it was idle for {times.idle_timeout_ms / 1000:g} s")
