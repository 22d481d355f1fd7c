"""Kinds of limit, and how they combine: a job starts only when every one that covers it has room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ujes.core.job import QueueKey


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Running limits, each honoured exactly."""

    #: jobs of one user, creator and engine that may run at once
    running_per_queue: int = 10
    #: the same for particular engines
    running_per_engine_queue: Mapping[str, int] = field(
        default_factory=lambda: MappingProxyType({"shell": 60})
    )
    #: jobs of one creator and engine over all users
    running_per_creator_engine: int = 10_000
    #: engine instances that may live at once on this node
    instances: int = 50
    #: jobs that may wait in one queue; one more is refused
    queued_per_queue: int = 1000
    #: failed launches after which a job fails, too
    launch_failures: int = 2

    def running_in(self, queue: QueueKey) -> int:
        return self.running_per_engine_queue.get(queue.engine, self.running_per_queue)
