"""Which instance fits a job: by whom it belongs to, whether it is free, and whether it is the job's own.

Instances are shared by the jobs of one queue, that is of one user, creator and engine type; one launched
for a job that asked for an engine of its own is for that job alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Set

from ujes.core.instance import EngineInstance, InstanceStatus, InstanceTarget
from ujes.core.job import QueueKey


class Places:
    """Instances that can take a job, or soon will; taken one by one as jobs are placed."""

    def __init__(self, instances: Iterable[EngineInstance], linked: Set[str]) -> None:
        self._linked = linked
        self._ready: dict[QueueKey, list[EngineInstance]] = {}
        self._starting: dict[QueueKey, int] = {}
        self._own: dict[int, EngineInstance] = {}
        for instance in instances:
            if instance.target is InstanceTarget.READY:
                self._sort_in(instance)

    def _sort_in(self, instance: EngineInstance) -> None:
        if instance.is_once:
            if instance.wanted_by is not None:
                self._own[instance.wanted_by] = instance
        elif is_starting(instance):
            self._starting[instance.queue] = self._starting.get(instance.queue, 0) + 1
        elif self.is_free(instance):
            self._ready.setdefault(instance.queue, []).append(instance)

    def is_free(self, instance: EngineInstance) -> bool:
        """Whether a job can be sent to it right now."""
        return instance.is_ready and instance.tag in self._linked

    def own_of(self, job_id: int) -> EngineInstance | None:
        """The instance launched for this job alone."""
        return self._own.get(job_id)

    def take_warmest(self, queue: QueueKey) -> EngineInstance | None:
        """The free instance that was used last: it is the warmest, and the others grow idle and leave."""
        ready = self._ready.get(queue)
        if not ready:
            return None
        warmest = max(ready, key=_idle_since)
        ready.remove(warmest)
        return warmest

    def take_starting(self, queue: QueueKey) -> bool:
        """Count on an instance that is starting; whether there is one nobody counts on yet."""
        left = self._starting.get(queue, 0)
        if left:
            self._starting[queue] = left - 1
        return left > 0

    def take_longest_idle(self) -> EngineInstance | None:
        """The free instance that can best be done without."""
        idle = [one for ready in self._ready.values() for one in ready]
        if not idle:
            return None
        longest = min(idle, key=_idle_since)
        self._ready[longest.queue].remove(longest)
        return longest

    def count(self, queue: QueueKey) -> int:
        """Free and starting instances nobody took yet."""
        return len(self._ready.get(queue, ())) + self._starting.get(queue, 0)


def is_starting(instance: EngineInstance) -> bool:
    return instance.status in (InstanceStatus.REQUESTED, InstanceStatus.STARTING)


def _idle_since(instance: EngineInstance) -> tuple[int, str]:
    return instance.idle_since_ms or 0, instance.tag
