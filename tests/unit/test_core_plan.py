"""The plan, one look at a time, and in a simulated node with random arrivals, run times and mishaps."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ujes.core.instance import (
    Broke,
    EngineInstance,
    Gone,
    InstanceEvent,
    InstanceStatus,
    InstanceTarget,
    Launching,
    Opened,
    Released,
    StopRequested,
    Taken,
    transition,
)
from ujes.core.job import QueueKey
from ujes.core.limits import Limits
from ujes.core.plan import Decision, Evict, Launch, QueueView, Snapshot, Start, Waiting, plan, waiting_for

ADA = QueueKey(run_as="ada", creator="IDE", engine="duckdb")
BOB = QueueKey(run_as="bob", creator="IDE", engine="duckdb")
EVE = QueueKey(run_as="eve", creator="CLI", engine="python")


def idle(tag: str, queue: QueueKey = ADA, *, since_ms: int = 0) -> EngineInstance:
    new = EngineInstance(tag=tag, queue=queue, token_hash="00", created_at_ms=0, updated_at_ms=0)
    return transition(new, Opened(), since_ms)


def starting(
    tag: str, queue: QueueKey = ADA, *, wanted_by: int | None = None, is_once: bool = False
) -> EngineInstance:
    return EngineInstance(
        tag=tag,
        queue=queue,
        token_hash="00",
        created_at_ms=0,
        updated_at_ms=0,
        wanted_by=wanted_by,
        is_once=is_once,
    )


def line(queue: QueueKey, *jobs: int, served_at: int = 0) -> QueueView:
    return QueueView(key=queue, front=tuple(Waiting(job_id=job) for job in jobs), served_at=served_at)


def look(
    *queues: QueueView,
    instances: tuple[EngineInstance, ...] = (),
    running: dict[QueueKey, int] | None = None,
    recovering: frozenset[QueueKey] = frozenset(),
    unlinked: frozenset[str] = frozenset(),
    spares: dict[QueueKey, int] | None = None,
    limits: Limits | None = None,
) -> Snapshot:
    return Snapshot(
        queues=queues,
        instances=instances,
        linked=frozenset(instance.tag for instance in instances) - unlinked,
        running=running or {},
        recovering=recovering,
        spares=spares or {},
        limits=limits or Limits(),
    )


# --- one look ---------------------------------------------------------------------------------------


def test_nothing_to_do() -> None:
    assert plan(look()) == ()


def test_a_waiting_job_gets_an_idle_instance_of_its_queue() -> None:
    assert plan(look(line(ADA, 7), instances=(idle("d1"),))) == (Start(job_id=7, tag="d1"),)


def test_never_an_instance_of_another_queue() -> None:
    assert plan(look(line(ADA, 7), instances=(idle("d1", BOB),))) == (
        Launch(queue=ADA, job_id=7, is_once=False),
    )


def test_the_warmest_instance_is_taken() -> None:
    instances = (idle("cold", since_ms=1), idle("warm", since_ms=9))
    assert plan(look(line(ADA, 7), instances=instances)) == (Start(job_id=7, tag="warm"),)


def test_an_instance_without_a_link_takes_no_job() -> None:
    decided = plan(look(line(ADA, 7), instances=(idle("d1"),), unlinked=frozenset({"d1"})))
    assert decided == (Launch(queue=ADA, job_id=7, is_once=False),)


def test_an_instance_told_to_stop_takes_no_job() -> None:
    leaving = transition(idle("d1"), StopRequested(reason="idle"), 5)
    assert plan(look(line(ADA, 7), instances=(leaving,))) == (Launch(queue=ADA, job_id=7, is_once=False),)


def test_a_start_under_way_is_waited_for() -> None:
    assert plan(look(line(ADA, 7), instances=(starting("d1"),))) == ()


def test_a_start_under_way_serves_one_job() -> None:
    decided = plan(look(line(ADA, 7, 8), instances=(starting("d1"),)))
    assert decided == (Launch(queue=ADA, job_id=8, is_once=False),)


def test_a_start_under_way_holds_a_slot() -> None:
    limits = Limits(running_per_queue=2)
    decided = plan(look(line(ADA, 8, 9), instances=(starting("d2"),), running={ADA: 1}, limits=limits))
    assert decided == ()


def test_as_many_as_the_limit_allows_and_no_more() -> None:
    limits = Limits(running_per_queue=3)
    decided = plan(look(line(ADA, 7, 8, 9), running={ADA: 1}, limits=limits))
    assert [d.job_id for d in decided if isinstance(d, Launch)] == [7, 8]


def test_an_engine_can_have_its_own_limit() -> None:
    limits = Limits(running_per_queue=1, running_per_engine_queue={"python": 2})
    decided = plan(look(line(ADA, 1, 2), line(EVE, 3, 4), limits=limits))
    assert sorted(d.job_id or 0 for d in decided if isinstance(d, Launch)) == [1, 3, 4]


def test_the_creators_limit_covers_all_its_users() -> None:
    limits = Limits(running_per_creator_engine=2)
    decided = plan(look(line(ADA, 1, 2), line(BOB, 3, 4), running={ADA: 1}, limits=limits))
    assert len(decided) == 1


def test_queues_take_turns() -> None:
    limits = Limits(instances=4)
    decided = plan(look(line(ADA, 1, 2, 3), line(BOB, 4, 5, 6), limits=limits))
    assert [d.job_id for d in decided if isinstance(d, Launch)] == [1, 4, 2, 5]


def test_who_was_served_longest_ago_goes_first() -> None:
    limits = Limits(instances=1)
    decided = plan(look(line(ADA, 1, served_at=9), line(BOB, 4, served_at=3), limits=limits))
    assert decided == (Launch(queue=BOB, job_id=4, is_once=False),)


def test_the_longest_idle_makes_room() -> None:
    instances = (idle("new", BOB, since_ms=9), idle("old", EVE, since_ms=1))
    decided = plan(look(line(ADA, 1), instances=instances, limits=Limits(instances=2)))
    assert decided == (Evict(tag="old"),)


def test_one_that_leaves_makes_room_enough() -> None:
    leaving = transition(idle("old", EVE), StopRequested(reason="idle"), 5)
    decided = plan(look(line(ADA, 1), instances=(leaving, idle("new", BOB)), limits=Limits(instances=2)))
    assert decided == ()


def test_an_engine_of_its_own_is_launched_although_another_is_idle() -> None:
    once = QueueView(key=ADA, front=(Waiting(job_id=7, is_once=True),))
    assert plan(look(once, instances=(idle("d1"),))) == (Launch(queue=ADA, job_id=7, is_once=True),)


def test_an_engine_of_its_own_is_for_that_job_alone() -> None:
    own = transition(starting("d1", wanted_by=7, is_once=True), Opened(), 5)
    assert plan(look(line(ADA, 8), instances=(own,))) == (Launch(queue=ADA, job_id=8, is_once=False),)
    once = QueueView(key=ADA, front=(Waiting(job_id=7, is_once=True),))
    assert plan(look(once, instances=(own,))) == (Start(job_id=7, tag="d1"),)


def test_an_engine_of_its_own_finds_room_among_idle_ones_of_the_same_queue() -> None:
    once = QueueView(key=ADA, front=(Waiting(job_id=7, is_once=True),))
    assert plan(look(once, instances=(idle("d1"),), limits=Limits(instances=1))) == (Evict(tag="d1"),)


def test_nothing_starts_in_a_queue_that_is_still_recovering() -> None:
    assert plan(look(line(ADA, 7), instances=(idle("d1"),), recovering=frozenset({ADA}))) == ()


def test_spares_are_kept_ready() -> None:
    decided = plan(look(spares={ADA: 2}, instances=(idle("d1"),)))
    assert decided == (Launch(queue=ADA, job_id=None, is_once=False),)
    assert plan(look(spares={ADA: 2}, instances=(idle("d1"), starting("d2")))) == ()


def test_spares_take_only_what_room_is_left() -> None:
    decided = plan(look(line(BOB, 4), spares={ADA: 5}, limits=Limits(instances=2)))
    assert decided == (
        Launch(queue=BOB, job_id=4, is_once=False),
        Launch(queue=ADA, job_id=None, is_once=False),
    )


@pytest.mark.parametrize(
    ("snapshot", "ahead", "said"),
    [
        (look(recovering=frozenset({ADA})), 0, "previous run"),
        (look(running={ADA: 10}), 0, "10 of 10"),
        (look(running={ADA: 10}), 1, "queued behind 1 job;"),
        (look(running={ADA: 10}), 12, "queued behind 12 jobs;"),
        (look(running={BOB: 3}, limits=Limits(running_per_creator_engine=3)), 0, "creator IDE on duckdb"),
        (look(instances=(starting("d1"),)), 0, "duckdb engine is starting"),
        (look(instances=(idle("d1", BOB),), limits=Limits(instances=1)), 0, "1 of 1"),
        (look(), 0, "being chosen"),
    ],
)
def test_it_says_why(snapshot: Snapshot, ahead: int, said: str) -> None:
    reason = waiting_for(snapshot, ADA, ahead)
    assert reason.startswith("Waiting: ")
    assert said in reason
    assert reason.endswith(".")


# --- a simulated node -------------------------------------------------------------------------------

QUEUES = (
    ADA,
    BOB,
    EVE,
    QueueKey(run_as="eve", creator="IDE", engine="duckdb"),
    QueueKey(run_as="ada", creator="CLI", engine="shell"),
)


@dataclass(frozen=True, kw_only=True)
class Arrival:
    queue: QueueKey
    at: int
    run_time: int
    is_once: bool = False
    #: cancelled while it waits, if it still does this long after it came
    patience: int | None = None


@dataclass(kw_only=True)
class Node:
    """A gateway without processes: what `plan` decides is done at once, and events come at random times."""

    limits: Limits
    chance: random.Random
    #: how often a launch or a running instance breaks
    mishap: float = 0.0
    now: int = 0
    waiting: dict[int, Arrival] = field(default_factory=dict)
    placed: dict[int, Arrival] = field(default_factory=dict)
    instances: dict[str, EngineInstance] = field(default_factory=dict)
    served_at: dict[QueueKey, int] = field(default_factory=dict)
    starts: list[int] = field(default_factory=list)
    ended: set[int] = field(default_factory=set)
    launches: int = 0
    _agenda: list[tuple[int, int, Callable[[], None]]] = field(default_factory=list)
    _count: int = 0

    def later(self, delay: int, act: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._agenda, (self.now + delay, self._count, act))

    def run(self, arrivals: list[Arrival]) -> None:
        for number, arrival in enumerate(sorted(arrivals, key=lambda a: a.at), start=1):
            self.later(arrival.at, lambda n=number, a=arrival: self.arrive(n, a))  # type: ignore[misc]
        while self._agenda:
            self.now, _, act = heapq.heappop(self._agenda)
            act()
            self.settle()

    # events

    def arrive(self, job: int, arrival: Arrival) -> None:
        self.waiting[job] = arrival
        if arrival.patience is not None:
            self.later(arrival.patience, lambda: self.give_up(job))

    def give_up(self, job: int) -> None:
        if self.waiting.pop(job, None) is None:
            return
        self.ended.add(job)
        for instance in [i for i in self.instances.values() if i.is_once and i.wanted_by == job]:
            self.tell(instance.tag, StopRequested(reason="its job was cancelled"))

    def end(self, job: int, tag: str) -> None:
        if job not in self.placed:
            return
        del self.placed[job]
        self.ended.add(job)
        if tag in self.instances:
            self.tell(tag, Released())

    def launched(self, tag: str) -> None:
        broke = self.chance.random() < self.mishap
        self.tell(tag, Broke(reason="no memory") if broke else Opened())

    def lost(self, tag: str, job: int) -> None:
        """The instance dies under its job, before it began or while it ran."""
        if tag not in self.instances or job not in self.placed:
            return
        arrival = self.placed.pop(job)
        if self.chance.random() < 0.5:
            self.waiting = dict(sorted([*self.waiting.items(), (job, arrival)]))
        else:
            self.ended.add(job)
        self.tell(tag, Broke(reason="died"))

    def tell(self, tag: str, event: InstanceEvent) -> None:
        if tag not in self.instances:
            return
        after = transition(self.instances[tag], event, self.now)
        self.instances[tag] = after
        if after.status.is_final:
            del self.instances[tag]
        elif after.target is InstanceTarget.STOPPED and not isinstance(event, Opened):
            self.later(self.chance.randint(1, 5), lambda: self.tell(tag, Gone()))

    # planning

    def look(self) -> Snapshot:
        fronts: dict[QueueKey, list[Waiting]] = {}
        for job, arrival in self.waiting.items():
            fronts.setdefault(arrival.queue, []).append(Waiting(job_id=job, is_once=arrival.is_once))
        running = Counter(arrival.queue for arrival in self.placed.values())
        return Snapshot(
            queues=tuple(
                QueueView(
                    key=key,
                    front=tuple(jobs[: max(1, self.limits.running_in(key) - running[key])]),
                    served_at=self.served_at.get(key, 0),
                )
                for key, jobs in fronts.items()
            ),
            instances=tuple(self.instances.values()),
            linked=frozenset(self.instances),
            running=MappingProxyType(running),
            limits=self.limits,
        )

    def settle(self) -> None:
        for decision in plan(self.look()):
            self.apply(decision)
            self.check_limits()
        assert plan(self.look()) == (), "planning again moves nothing"
        self.check_reasons()

    def apply(self, decision: Decision) -> None:
        match decision:
            case Start():
                self.start(decision)
            case Launch():
                self.launch(decision)
            case Evict():
                evicted = self.instances[decision.tag]
                assert evicted.is_ready, "only idle ones make room"
                self.tell(decision.tag, StopRequested(reason="room"))

    def start(self, decision: Start) -> None:
        job, arrival, instance = (
            decision.job_id,
            self.waiting.pop(decision.job_id),
            self.instances[decision.tag],
        )
        assert instance.is_ready
        assert instance.queue == arrival.queue
        assert instance.is_once == arrival.is_once
        assert not instance.is_once or instance.wanted_by == job
        ahead = [n for n, a in self.waiting.items() if a.queue == arrival.queue and not a.is_once and n < job]
        assert ahead == [] or arrival.is_once, "first come, first served"
        self.placed[job] = arrival
        self.starts.append(job)
        self.served_at[arrival.queue] = len(self.starts)
        self.tell(decision.tag, Taken(job_id=job))
        dies = self.chance.random() < self.mishap
        act = self.lost if dies else lambda tag, job: self.end(job, tag)
        self.later(arrival.run_time, lambda: act(decision.tag, job))

    def launch(self, decision: Launch) -> None:
        self.launches += 1
        tag = f"t{self.launches}"
        assert decision.job_id in self.waiting
        self.instances[tag] = EngineInstance(
            tag=tag,
            queue=decision.queue,
            is_once=decision.is_once,
            token_hash="00",
            wanted_by=decision.job_id,
            created_at_ms=self.now,
            updated_at_ms=self.now,
        )
        self.tell(tag, Launching(handle="forked"))
        self.later(self.chance.randint(1, 20), lambda: self.launched(tag))

    # what must hold

    def check_limits(self) -> None:
        running = Counter(arrival.queue for arrival in self.placed.values())
        at_creator = Counter((a.queue.creator, a.queue.engine) for a in self.placed.values())
        assert len(self.instances) <= self.limits.instances
        assert all(count <= self.limits.running_in(key) for key, count in running.items())
        assert all(count <= self.limits.running_per_creator_engine for count in at_creator.values())
        busy = Counter(i.queue for i in self.instances.values() if i.status is InstanceStatus.BUSY)
        assert busy == running, "a placed job holds one instance, a busy instance one job"

    def check_reasons(self) -> None:
        """Once everything decided is done, a head of line waits for something that has a name."""
        snapshot = self.look()
        for key in {arrival.queue for arrival in self.waiting.values()}:
            reason = waiting_for(snapshot, key, 0)
            assert "being chosen" not in reason


def arrivals(**given: object) -> st.SearchStrategy[Arrival]:
    parts: dict[str, st.SearchStrategy[object]] = {
        "queue": st.sampled_from(QUEUES),
        "at": st.integers(0, 200),
        "run_time": st.integers(0, 60),
        "is_once": st.sampled_from([False, False, False, True]),
        "patience": st.sampled_from([None, None, None, 0, 10, 50]),
    }
    return st.builds(Arrival, **(parts | {name: st.just(value) for name, value in given.items()}))


LIMITS = st.builds(
    Limits,
    running_per_queue=st.integers(1, 4),
    running_per_engine_queue=st.just(MappingProxyType({"shell": 6})),
    running_per_creator_engine=st.integers(1, 8),
    instances=st.integers(1, 6),
)


#: A failure here is best read from its first example: to shrink a whole history takes minutes.
UNSHRUNK = settings(phases=[Phase.explicit, Phase.reuse, Phase.generate])


@UNSHRUNK
@given(LIMITS, st.lists(arrivals(), max_size=30), st.integers(0, 2**32), st.sampled_from([0.0, 0.0, 0.2]))
def test_every_job_comes_to_its_end_and_no_slot_leaks(
    limits: Limits, jobs: list[Arrival], seed: int, mishap: float
) -> None:
    node = Node(limits=limits, chance=random.Random(seed), mishap=mishap)
    node.run(jobs)
    assert node.ended == set(range(1, len(jobs) + 1)), "nobody starves"
    assert node.placed == {}
    assert node.waiting == {}
    assert all(instance.is_ready for instance in node.instances.values()), "nothing is left half-way"


@given(st.lists(arrivals(is_once=False, patience=None), max_size=30), st.integers(0, 2**32))
def test_with_room_for_all_each_queue_launches_no_more_than_it_may_run(
    jobs: list[Arrival], seed: int
) -> None:
    limits = Limits(running_per_queue=3, running_per_engine_queue={}, instances=100)
    node = Node(limits=limits, chance=random.Random(seed))
    node.run(jobs)
    per_queue = Counter(instance.queue for instance in node.instances.values())
    assert node.launches == len(node.instances)
    assert all(count <= 3 for count in per_queue.values())


@given(st.integers(1, 3), st.integers(1, 40), st.integers(0, 2**32))
def test_a_crowd_delays_others_by_one_turn(places: int, crowd: int, seed: int) -> None:
    """However many jobs one user has in line, another's job starts once the present ones are over."""
    limits = Limits(running_per_queue=10, instances=places)
    crowded = [Arrival(queue=ADA, at=0, run_time=30) for _ in range(crowd)]
    node = Node(limits=limits, chance=random.Random(seed))
    node.run([*crowded, Arrival(queue=BOB, at=25, run_time=1)])
    before = node.starts[: node.starts.index(crowd + 1)]
    assert len(before) <= 2 * places


@given(
    st.lists(arrivals(queue=ADA, is_once=False, patience=None), min_size=1, max_size=25),
    st.integers(1, 4),
    st.integers(0, 2**32),
)
def test_one_queue_starts_in_order(jobs: list[Arrival], places: int, seed: int) -> None:
    node = Node(limits=Limits(instances=places), chance=random.Random(seed))
    node.run(jobs)
    assert node.starts == sorted(node.starts)


@given(st.integers(1, 5), st.integers(1, 20), st.integers(0, 2**32))
def test_the_limit_is_used_to_the_full(limit: int, count: int, seed: int) -> None:
    """As soon as launches are over, exactly as many run as may, until too few are left."""
    node = Node(limits=Limits(running_per_queue=limit), chance=random.Random(seed))
    most = 0
    whole = node.check_limits

    def watch() -> None:
        nonlocal most
        whole()
        most = max(most, len(node.placed))

    node.check_limits = watch  # type: ignore[method-assign]
    node.run([Arrival(queue=ADA, at=0, run_time=100) for _ in range(count)])
    assert most == min(limit, count)


def test_replace_is_not_needed_to_change_a_limit() -> None:
    """Limits are read at every look: a raised one lets the next job go at once."""
    snapshot = look(line(ADA, 7), running={ADA: 10}, instances=(idle("d1"),))
    assert plan(snapshot) == ()
    assert plan(replace(snapshot, limits=Limits(running_per_queue=11))) == (Start(job_id=7, tag="d1"),)
