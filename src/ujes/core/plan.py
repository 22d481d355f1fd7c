"""What should happen next: which waiting job starts on which instance, and what must be launched.

`plan(snapshot)` looks at the queues and the instances as they are and returns decisions; it keeps nothing.
The rules, in order of weight:

1. No limit is ever exceeded: running jobs per queue, per creator and engine, instances on the node. A job
   whose instance is still starting takes its slot already.
2. Within a queue, first come, first served. (A job with an instance of its own may begin before one ahead
   of it whose instance is still starting: both hold their slots already, so nobody waits longer.)
3. Between queues, turns: the queue that was served longest ago goes first, one job a turn. So a user with a
   thousand jobs delays another by one turn, and every queue that can move does move.
4. When the node is full, an idle instance makes room, the longest idle first.

`waiting_for` says, in a sentence, why a job is not running yet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ujes.core.instance import EngineInstance, InstanceTarget
from ujes.core.job import QueueKey
from ujes.core.limits import Limits
from ujes.core.placement import Places, is_starting


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """A job in line."""

    job_id: int
    #: wants a fresh instance that ends with it
    is_once: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueView:
    """One queue with jobs in line."""

    key: QueueKey
    #: the front of the line, at least as long as the queue's free slots if so many wait
    front: tuple[Waiting, ...]
    #: rises with every start anywhere; 0 for a queue that was never served
    served_at: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """Everything `plan` looks at."""

    queues: tuple[QueueView, ...]
    #: every instance that is not over
    instances: tuple[EngineInstance, ...]
    #: instances whose host is connected
    linked: frozenset[str]
    #: jobs placed and not ended, by queue
    running: Mapping[QueueKey, int]
    #: queues that an instance of the previous run may still report a job for
    recovering: frozenset[QueueKey] = frozenset()
    #: idle instances to keep ready
    spares: Mapping[QueueKey, int] = field(default_factory=lambda: MappingProxyType({}))
    limits: Limits


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """Place the job on the instance."""

    job_id: int
    tag: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Launch:
    """Start an instance for the queue; for a spare `job_id` is None."""

    queue: QueueKey
    job_id: int | None
    is_once: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Evict:
    """Stop an idle instance to make room on the node."""

    tag: str


Decision = Start | Launch | Evict


def plan(snapshot: Snapshot) -> tuple[Decision, ...]:
    """The next moves; applying them and planning again moves nothing twice."""
    return _Planner(snapshot).decide()


class _Planner:
    """The free room of one snapshot, used up as decisions are made."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._limits = snapshot.limits
        self._decisions: list[Decision] = []
        self._running = Counter(snapshot.running)
        self._running_at_creator = Counter[tuple[str, str]]()
        for key, count in snapshot.running.items():
            self._running_at_creator[key.creator, key.engine] += count
        self._room = self._limits.instances - len(snapshot.instances)
        self._leaving = sum(1 for i in snapshot.instances if i.target is InstanceTarget.STOPPED)
        self._places = Places(snapshot.instances, snapshot.linked)

    def decide(self) -> tuple[Decision, ...]:
        turns = [_Turn(view) for view in sorted(self._snapshot.queues, key=_turn_order)]
        while turns:
            turns = [turn for turn in turns if self._serve(turn)]
        self._keep_spares()
        return tuple(self._decisions)

    def _serve(self, turn: _Turn) -> bool:
        """One turn of a queue: whether it may have another."""
        head = turn.head
        if head is None or turn.key in self._snapshot.recovering or not self._has_slot(turn.key):
            return False
        if not (self._serve_once(turn.key, head) if head.is_once else self._serve_shared(turn.key, head)):
            return False
        self._running[turn.key] += 1
        self._running_at_creator[turn.key.creator, turn.key.engine] += 1
        turn.advance()
        return True

    def _has_slot(self, key: QueueKey) -> bool:
        at_creator = self._running_at_creator[key.creator, key.engine]
        return (
            self._running[key] < self._limits.running_in(key)
            and at_creator < self._limits.running_per_creator_engine
        )

    def _serve_once(self, key: QueueKey, head: Waiting) -> bool:
        own = self._places.own_of(head.job_id)
        if own is None:
            return self._launch(key, head)
        if self._places.is_free(own):
            self._decisions.append(Start(job_id=head.job_id, tag=own.tag))
        return True

    def _serve_shared(self, key: QueueKey, head: Waiting) -> bool:
        instance = self._places.take_warmest(key)
        if instance is not None:
            self._decisions.append(Start(job_id=head.job_id, tag=instance.tag))
            return True
        return self._places.take_starting(key) or self._launch(key, head)

    def _launch(self, key: QueueKey, head: Waiting) -> bool:
        if self._room <= 0:
            self._make_room()
            return False
        self._room -= 1
        self._decisions.append(Launch(queue=key, job_id=head.job_id, is_once=head.is_once))
        return True

    def _make_room(self) -> None:
        if self._leaving > 0:
            self._leaving -= 1
            return
        idle = self._places.take_longest_idle()
        if idle is not None:
            self._decisions.append(Evict(tag=idle.tag))

    def _keep_spares(self) -> None:
        for key, wanted in self._snapshot.spares.items():
            missing = min(wanted - self._places.count(key), self._room)
            if key in self._snapshot.recovering or missing <= 0:
                continue
            self._room -= missing
            self._decisions += [Launch(queue=key, job_id=None, is_once=False)] * missing


class _Turn:
    """A queue's place in the round: which of its jobs is next."""

    def __init__(self, view: QueueView) -> None:
        self.key = view.key
        self._front = iter(view.front)
        self.head = next(self._front, None)

    def advance(self) -> None:
        self.head = next(self._front, None)


def _turn_order(view: QueueView) -> tuple[int, int]:
    return view.served_at, view.front[0].job_id if view.front else 0


def waiting_for(snapshot: Snapshot, key: QueueKey, ahead: int) -> str:
    """Why a job with `ahead` jobs before it in its queue is not running yet, as a sentence."""
    reason = _head_reason(snapshot, key)
    if ahead == 0:
        return f"Waiting: {reason}."
    jobs = "1 job" if ahead == 1 else f"{ahead} jobs"
    return f"Waiting: queued behind {jobs}; {reason}."


def _head_reason(snapshot: Snapshot, key: QueueKey) -> str:
    limits = snapshot.limits
    if key in snapshot.recovering:
        return "an engine of the previous run has not reported yet"
    running, allowed = snapshot.running.get(key, 0), limits.running_in(key)
    if running >= allowed:
        return f"running limit of queue {key} is reached, {running} of {allowed}"
    own = [i for i in snapshot.instances if i.queue == key and i.target is InstanceTarget.READY]
    if any(is_starting(i) for i in own):
        return f"{key.engine} engine is starting"
    at_creator, whole = _at_creator(snapshot, key), limits.running_per_creator_engine
    if at_creator >= whole:
        return f"running limit of creator {key.creator} on {key.engine} is reached, {at_creator} of {whole}"
    if len(snapshot.instances) >= limits.instances:
        return f"all engine places of this node are taken, {len(snapshot.instances)} of {limits.instances}"
    return f"{key.engine} engine is being chosen"


def _at_creator(snapshot: Snapshot, key: QueueKey) -> int:
    """Slots in use by one creator on one engine; a start under way holds one."""
    holders = Counter(snapshot.running)
    holders.update(i.queue for i in snapshot.instances if is_starting(i))
    wanted = (key.creator, key.engine)
    return sum(count for other, count in holders.items() if (other.creator, other.engine) == wanted)
