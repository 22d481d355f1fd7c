"""The instance's transitions: the table, and what any sequence of events leaves standing."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
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
    Stopping,
    StopRequested,
    Taken,
    transition,
)
from ujes.core.job import QueueKey

REQUESTED, STARTING, IDLE, BUSY = (
    InstanceStatus.REQUESTED,
    InstanceStatus.STARTING,
    InstanceStatus.IDLE,
    InstanceStatus.BUSY,
)
STOPPING, STOPPED, FAILED = InstanceStatus.STOPPING, InstanceStatus.STOPPED, InstanceStatus.FAILED

WAYS: dict[InstanceStatus, list[InstanceEvent]] = {
    REQUESTED: [],
    STARTING: [Launching(handle="forked")],
    IDLE: [Launching(handle="forked"), Opened()],
    BUSY: [Launching(handle="forked"), Opened(), Taken(job_id=7)],
    STOPPING: [Launching(handle="forked"), Opened(), StopRequested(reason="idle"), Stopping()],
    STOPPED: [Launching(handle="forked"), StopRequested(reason="idle"), Stopping(), Gone()],
    FAILED: [Launching(handle="forked"), Broke(reason="out of memory")],
}


def instance(status: InstanceStatus = REQUESTED, *, is_once: bool = False) -> EngineInstance:
    """An instance in `status`, got there as instances get there."""
    new = EngineInstance(
        tag="duckdb-1",
        queue=QueueKey(run_as="ada", creator="IDE", engine="duckdb"),
        is_once=is_once,
        token_hash="00",
        wanted_by=7,
        created_at_ms=1000,
        updated_at_ms=1000,
    )
    for event in WAYS[status]:
        new = transition(new, event, new.updated_at_ms + 1)
    assert new.status is status
    return new


# --- the table ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "event", "after"),
    [
        (REQUESTED, Launching(handle="h"), STARTING),
        # A start cut off before its handle was stored; the host dials in all the same.
        (REQUESTED, Opened(), IDLE),
        (REQUESTED, Taken(job_id=7), REQUESTED),
        (REQUESTED, Released(), REQUESTED),
        (REQUESTED, Stopping(), STOPPING),
        (STARTING, Launching(handle="h"), STARTING),
        (STARTING, Opened(), IDLE),
        (STARTING, Taken(job_id=7), STARTING),
        (IDLE, Launching(handle="h"), IDLE),
        (IDLE, Opened(), IDLE),
        (IDLE, Taken(job_id=7), BUSY),
        (IDLE, StopRequested(reason="idle"), IDLE),
        (IDLE, Stopping(), STOPPING),
        (BUSY, Opened(), BUSY),
        (BUSY, Taken(job_id=8), BUSY),
        (BUSY, Released(), IDLE),
        (BUSY, Stopping(), STOPPING),
        (STOPPING, Opened(), STOPPING),
        (STOPPING, Taken(job_id=8), STOPPING),
        (STOPPING, Gone(), STOPPED),
        (STOPPING, Broke(reason="died"), FAILED),
    ],
    ids=str,
)
def test_the_table(status: InstanceStatus, event: InstanceEvent, after: InstanceStatus) -> None:
    assert transition(instance(status), event, 2000).status is after


@pytest.mark.parametrize("status", [REQUESTED, STARTING, IDLE, BUSY, STOPPING])
def test_every_instance_can_break_or_go(status: InstanceStatus) -> None:
    assert transition(instance(status), Broke(reason="died"), 2000).status is FAILED
    assert transition(instance(status), Gone(), 2000).status is STOPPED


@pytest.mark.parametrize("status", [STOPPED, FAILED])
def test_nothing_happens_to_an_instance_that_is_over(status: InstanceStatus) -> None:
    over = instance(status)
    for event in (Opened(), Launching(handle="x"), Taken(job_id=9), StopRequested(reason="x"), Gone()):
        assert transition(over, event, 9000) is over


def test_the_handle_of_every_stage_is_kept() -> None:
    started = transition(instance(), Launching(handle="folder"), 2000)
    started = transition(started, Launching(handle="forked"), 2001)
    assert started.handle == "forked"
    assert transition(started, Launching(handle="forked"), 2002).handle == "forked"


def test_a_job_takes_it_and_gives_it_back() -> None:
    busy = transition(instance(IDLE), Taken(job_id=9), 2000)
    assert (busy.job_id, busy.idle_since_ms, busy.wanted_by) == (9, None, None)
    free = transition(busy, Released(), 3000)
    assert (free.job_id, free.idle_since_ms, free.jobs_done, free.is_ready) == (None, 3000, 1, True)


def test_one_made_for_a_single_job_ends_with_it() -> None:
    busy = transition(instance(IDLE, is_once=True), Taken(job_id=7), 2000)
    free = transition(busy, Released(), 3000)
    assert (free.target, free.is_ready) == (InstanceTarget.STOPPED, False)
    assert free.reason


def test_one_told_to_stop_takes_no_job_for_ready() -> None:
    told = transition(instance(IDLE), StopRequested(reason="it was idle"), 2000)
    assert (told.status, told.target, told.is_ready, told.reason) == (
        IDLE,
        InstanceTarget.STOPPED,
        False,
        "it was idle",
    )


def test_the_first_reason_to_stop_counts() -> None:
    told = transition(instance(BUSY), StopRequested(reason="killed"), 2000)
    assert transition(told, StopRequested(reason="idle"), 2100) is told


# --- any sequence of events -----------------------------------------------------------------------

WORDS = st.text(max_size=10)
EVENTS: st.SearchStrategy[InstanceEvent] = st.one_of(
    st.builds(Launching, handle=st.sampled_from(["folder", "forked"])),
    st.just(Opened()),
    st.builds(Taken, job_id=st.integers(1, 3)),
    st.just(Released()),
    st.builds(StopRequested, reason=WORDS),
    st.just(Stopping()),
    st.just(Gone()),
    st.builds(Broke, reason=WORDS),
)
#: Ends are likely enough by themselves to cut every history short; keep some of them long.
_LIVELY = EVENTS.filter(lambda event: not isinstance(event, Gone | Broke | Stopping))
HISTORIES = st.tuples(
    st.booleans(), st.lists(st.tuples(EVENTS | _LIVELY | _LIVELY, st.integers(0, 50)), max_size=25)
)

History = tuple[bool, list[tuple[InstanceEvent, int]]]


def records(history: History) -> list[EngineInstance]:
    """Every record of an instance's life."""
    is_once, events = history
    now_ms, life = 1000, [instance(is_once=is_once)]
    for event, passed_ms in events:
        now_ms += passed_ms
        life.append(transition(life[-1], event, now_ms))
    return life


def _substance(record: EngineInstance) -> EngineInstance:
    return replace(record, version=0, updated_at_ms=0)


@given(HISTORIES)
def test_the_first_end_wins(history: History) -> None:
    for before, after in pairwise(records(history)):
        if before.status.is_final:
            assert after is before


@given(HISTORIES)
def test_the_version_counts_changes(history: History) -> None:
    for before, after in pairwise(records(history)):
        assert after.version == before.version + (after is not before)
        assert (after is before) == (_substance(after) == _substance(before)), "such a change is none"


@given(HISTORIES)
def test_the_target_is_never_taken_back(history: History) -> None:
    for before, after in pairwise(records(history)):
        if before.target is InstanceTarget.STOPPED:
            assert after.target is InstanceTarget.STOPPED
        if after.status is STOPPING:
            assert after.target is InstanceTarget.STOPPED
        if before.status is STOPPING:
            assert after.status in {STOPPING, STOPPED, FAILED}


@given(HISTORIES)
def test_a_job_holds_exactly_a_busy_one(history: History) -> None:
    for record in records(history):
        if record.status is BUSY:
            assert record.job_id is not None
        elif record.status is not STOPPING:
            assert record.job_id is None
        assert not (record.is_ready and record.job_id is not None)


@given(HISTORIES)
def test_idle_time_is_known_exactly_while_idle(history: History) -> None:
    for record in records(history):
        if record.status is IDLE:
            assert record.idle_since_ms is not None
            assert record.created_at_ms <= record.idle_since_ms <= record.updated_at_ms
        if record.status is BUSY:
            assert record.idle_since_ms is None


@given(HISTORIES)
def test_jobs_done_are_counted_once(history: History) -> None:
    life = records(history)
    taken = sum(after.job_id is not None and before.job_id is None for before, after in pairwise(life))
    assert life[-1].jobs_done <= taken


@given(HISTORIES)
def test_one_made_for_a_single_job_does_a_single_job(history: History) -> None:
    life = records((True, history[1]))
    jobs = {record.job_id for record in life if record.job_id is not None}
    assert len(jobs) <= 1


@given(HISTORIES, EVENTS)
def test_an_event_heard_twice_counts_once(history: History, event: InstanceEvent) -> None:
    once = transition(records(history)[-1], event, 9000)
    assert transition(once, event, 9001) is once
