"""An engine instance: one running process of an engine, or of a cluster's application.

Status says where it is, target where it should be; only the reconciler moves the status, and whoever
wants it gone moves the target. The tag is chosen and stored before anything is started, the handle is
stored after every stage of the start, so that a start cut off anywhere can be found and cleaned up.

    requested -> starting -> idle <-> busy -> stopping -> stopped
         \\____________\\________\\_______\\_________\\-> failed
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType
from typing import assert_never

from ujes.core.job import QueueKey


class InstanceStatus(Enum):
    REQUESTED = "requested"
    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        return self in (InstanceStatus.STOPPED, InstanceStatus.FAILED)


class InstanceTarget(Enum):
    READY = "ready"
    STOPPED = "stopped"


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineInstance:
    """The durable record of one instance. Times are epoch milliseconds."""

    #: unique for ever; names its work directory and marks its processes
    tag: str
    queue: QueueKey
    engine_version: str = ""
    #: ends with its first job and is given to no other
    is_once: bool = False
    #: options it was created with
    startup: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    #: SHA-256 of the token its host dials in with, hexadecimal
    token_hash: str
    status: InstanceStatus = InstanceStatus.REQUESTED
    target: InstanceTarget = InstanceTarget.READY
    #: why it was told to stop, or failed
    reason: str | None = None
    #: the launcher's own words (JSON), opaque to everybody else
    handle: str | None = None
    #: the job that waits for this start, told when it fails
    wanted_by: int | None = None
    #: the job that holds it
    job_id: int | None = None
    jobs_done: int = 0
    created_at_ms: int
    updated_at_ms: int
    idle_since_ms: int | None = None
    node: str = ""
    version: int = 0

    @property
    def is_ready(self) -> bool:
        return self.status is InstanceStatus.IDLE and self.target is InstanceTarget.READY


@dataclass(frozen=True, kw_only=True, slots=True)
class Launching:
    """A stage of the start was reached; `handle` finds it again."""

    handle: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """The host dialled in and its engine is open."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """A job holds it now."""

    job_id: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Released:
    """Its job is over."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StopRequested:
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Stopping:
    """The reconciler began to stop it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gone:
    """No process of it is left, and that was wanted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Broke:
    """It could not start, or ended by itself."""

    reason: str


InstanceEvent = Launching | Opened | Taken | Released | StopRequested | Stopping | Gone | Broke


def transition(instance: EngineInstance, event: InstanceEvent, now_ms: int) -> EngineInstance:
    """The record after `event`; one that is over, or an event that does not fit, changes nothing."""
    if instance.status.is_final:
        return instance
    after = _apply(instance, event, now_ms)
    if after is instance:
        return instance
    return replace(after, updated_at_ms=now_ms, version=instance.version + 1)


def _apply(instance: EngineInstance, event: InstanceEvent, now_ms: int) -> EngineInstance:
    match event:
        case Launching():
            return _launching(instance, event)
        case Opened():
            return _opened(instance, now_ms)
        case Taken():
            return _taken(instance, event)
        case Released():
            return _released(instance, now_ms)
        case StopRequested():
            return _stop_requested(instance, event)
        case Stopping():
            return _stopping(instance)
        case Gone():
            return replace(instance, status=InstanceStatus.STOPPED, job_id=None)
        case Broke():
            return replace(instance, status=InstanceStatus.FAILED, reason=event.reason, job_id=None)
        case _:
            assert_never(event)


def _launching(instance: EngineInstance, event: Launching) -> EngineInstance:
    is_new = instance.status is InstanceStatus.REQUESTED
    if not is_new and instance.handle == event.handle:
        return instance
    status = InstanceStatus.STARTING if is_new else instance.status
    return replace(instance, status=status, handle=event.handle)


def _opened(instance: EngineInstance, now_ms: int) -> EngineInstance:
    if instance.status not in (InstanceStatus.REQUESTED, InstanceStatus.STARTING):
        return instance
    return replace(instance, status=InstanceStatus.IDLE, idle_since_ms=now_ms)


def _taken(instance: EngineInstance, event: Taken) -> EngineInstance:
    if instance.status is not InstanceStatus.IDLE or instance.job_id is not None:
        return instance
    return replace(
        instance,
        status=InstanceStatus.BUSY,
        job_id=event.job_id,
        idle_since_ms=None,
        wanted_by=None,
    )


def _released(instance: EngineInstance, now_ms: int) -> EngineInstance:
    if instance.job_id is None:
        return instance
    freed = replace(instance, job_id=None, jobs_done=instance.jobs_done + 1, idle_since_ms=now_ms)
    if instance.is_once:
        freed = replace(freed, target=InstanceTarget.STOPPED, reason="its one job is over")
    if instance.status is InstanceStatus.BUSY:
        freed = replace(freed, status=InstanceStatus.IDLE)
    return freed


def _stop_requested(instance: EngineInstance, event: StopRequested) -> EngineInstance:
    if instance.target is InstanceTarget.STOPPED:
        return instance
    return replace(instance, target=InstanceTarget.STOPPED, reason=event.reason)


def _stopping(instance: EngineInstance) -> EngineInstance:
    if instance.status is InstanceStatus.STOPPING:
        return instance
    return replace(instance, status=InstanceStatus.STOPPING, target=InstanceTarget.STOPPED)
