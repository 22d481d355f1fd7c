"""What happens in the gateway, told once; the server's log and the metrics listen.

A listener is a plain function called on the event loop; it must be quick and must not raise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ujes.core.instance import EngineInstance, InstanceEvent
from ujes.core.job import Job, JobEvent


@dataclass(frozen=True, kw_only=True, slots=True)
class JobAccepted:
    """A job's row is durable; a refused one is Failed already."""

    job: Job


@dataclass(frozen=True, kw_only=True, slots=True)
class JobChanged:
    """A job changed; an end is told only when it is durable."""

    before: Job
    after: Job
    event: JobEvent


@dataclass(frozen=True, kw_only=True, slots=True)
class InstanceChanged:
    before: EngineInstance
    after: EngineInstance
    event: InstanceEvent


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """Something of ours did not work; the text says what, where, and what follows."""

    text: str
    error: BaseException | None = None


Observation = JobAccepted | JobChanged | InstanceChanged | Fault
Listener = Callable[[Observation], None]


class Observers:
    """Tells every listener, in the order they came."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def tell(self, observation: Observation) -> None:
        for listener in self._listeners:
            listener(observation)
