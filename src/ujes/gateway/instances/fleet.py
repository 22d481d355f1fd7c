"""The live engine instances, in memory: every change of one goes through here.

`tell(tag, event)` is the one door, as `Board.tell` is for jobs. Beside the durable record stands what is only
seen at the moment: whether the host is connected, and how its process ended.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable

from ujes.core.instance import EngineInstance, InstanceEvent, InstanceStatus, transition
from ujes.core.job import QueueKey
from ujes.core.owed import Seen
from ujes.gateway.clock import Clock
from ujes.gateway.observe import InstanceChanged, Observers
from ujes.gateway.store.records import Entry
from ujes.gateway.store.store import Store

#: Instances remembered after their end, for what their jobs still have to say.
OVER_MAX = 256
#: A spare that did not start is tried again after this.
SPARE_RETRY_MS = 30_000


class Fleet:
    """Instances that are not over."""

    def __init__(self, store: Store, clock: Clock, observers: Observers) -> None:
        self._store = store
        self._clock = clock
        self._observers = observers
        self._instances: dict[str, EngineInstance] = {}
        self._over: OrderedDict[str, EngineInstance] = OrderedDict()
        self._unlinked_since_ms: dict[str, int] = {}
        self._ended: dict[str, str] = {}
        self._unheard: set[str] = set()
        #: reserved and not yet given to the store, each with what was told of it meanwhile
        self._unstored: dict[str, list[Entry]] = {}
        self._spare_failed_ms: dict[QueueKey, int] = {}
        self.linked: frozenset[str] = frozenset()
        #: called after every change, and when a link comes or goes
        self.changed: Callable[[str], None] = lambda _tag: None

    # --- reading --------------------------------------------------------------------------------

    def get(self, tag: str) -> EngineInstance | None:
        return self._instances.get(tag)

    def record(self, tag: str) -> EngineInstance | None:
        """An instance that lives or was over lately."""
        return self._instances.get(tag) or self._over.get(tag)

    def live(self) -> Iterable[EngineInstance]:
        return self._instances.values()

    def seen(self, tag: str) -> Seen:
        return Seen(
            is_linked=tag in self.linked,
            unlinked_since_ms=self._unlinked_since_ms.get(tag, 0),
            ended=self._ended.get(tag),
        )

    def recovering(self) -> frozenset[QueueKey]:
        """Queues an instance of the previous run belongs to that has neither reported nor ended."""
        return frozenset(instance.queue for tag in self._unheard if (instance := self._instances.get(tag)))

    def resting(self) -> frozenset[QueueKey]:
        """Queues whose spare did not start just now: the next would not either."""
        now_ms = self._clock.now_ms()
        return frozenset(
            key for key, at_ms in self._spare_failed_ms.items() if now_ms - at_ms < SPARE_RETRY_MS
        )

    # --- changing -------------------------------------------------------------------------------

    def reserve(self, instance: EngineInstance) -> None:
        """Take up a new record, so that it is counted from now on."""
        self._instances[instance.tag] = instance
        self._unstored[instance.tag] = []
        self._unlinked_since_ms[instance.tag] = self._clock.now_ms()

    async def store(self, instance: EngineInstance) -> None:
        """Make the record of a reserved instance durable: nothing may be started before.

        A kill may have been quicker, so it is stored as it is now.
        """
        entries = self._unstored.pop(instance.tag, [])
        await self._store.add_instance(self._instances.get(instance.tag, instance), entries)

    def adopt(self, instance: EngineInstance) -> None:
        """Take up a record of the previous run; nobody knows yet what became of it."""
        self._instances[instance.tag] = instance
        self._unlinked_since_ms[instance.tag] = self._clock.now_ms()
        if instance.status is not InstanceStatus.REQUESTED:
            self._unheard.add(instance.tag)

    def tell(self, tag: str, event: InstanceEvent) -> EngineInstance | None:
        """Let `event` happen. Returns the record after it, None for an instance that is over."""
        before = self._instances.get(tag)
        if before is None:
            return None
        after = transition(before, event, self._clock.now_ms())
        if after is before:
            return before
        self._instances[tag] = after
        if tag in self._unstored:
            self._unstored[tag].append(_entry(after, event))
        else:
            self._store.save_instance_soon(before, after, [_entry(after, event)])
        if after.status.is_final:
            self._drop(tag)
        self._observers.tell(InstanceChanged(before=before, after=after, event=event))
        self.changed(tag)
        return after

    async def tell_durably(self, tag: str, event: InstanceEvent) -> None:
        """The same, and wait until it is stored."""
        before = self._instances.get(tag)
        if before is None:
            return
        after = transition(before, event, self._clock.now_ms())
        if after is before:
            return
        self._instances[tag] = after
        await self._store.save_instance(before, after, [_entry(after, event)])
        self._observers.tell(InstanceChanged(before=before, after=after, event=event))
        self.changed(tag)

    def link_up(self, tag: str) -> None:
        self._ended.pop(tag, None)
        self.linked |= {tag}
        self.changed(tag)

    def heard(self, tag: str) -> None:
        """The host has said what it runs."""
        self._unheard.discard(tag)

    def link_down(self, tag: str) -> None:
        if tag in self.linked:
            self.linked -= {tag}
            self._unlinked_since_ms[tag] = self._clock.now_ms()
            self.changed(tag)

    def ended(self, tag: str, how: str) -> None:
        """The process of an instance is over."""
        if tag in self._instances:
            self._ended[tag] = how
            self._unheard.discard(tag)
            self.changed(tag)

    def _drop(self, tag: str) -> None:
        over = self._over[tag] = self._instances.pop(tag)
        if over.status is InstanceStatus.FAILED and over.wanted_by is None and over.idle_since_ms is None:
            self._spare_failed_ms[over.queue] = over.updated_at_ms
        while len(self._over) > OVER_MAX:
            self._over.popitem(last=False)
        self.linked -= {tag}
        self._unlinked_since_ms.pop(tag, None)
        self._unstored.pop(tag, None)
        self._ended.pop(tag, None)
        self._unheard.discard(tag)


def _entry(instance: EngineInstance, event: InstanceEvent) -> Entry:
    return Entry(
        subject="instance",
        subject_id=instance.tag,
        at_ms=instance.updated_at_ms,
        kind=type(event).__name__.lower(),
        text=str(getattr(event, "reason", "") or getattr(event, "job_id", ""))[:2000],
    )
