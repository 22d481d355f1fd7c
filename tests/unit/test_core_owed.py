"""The next step of every record in every situation, and that following the steps always comes to an end."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ujes.core import instance as instances
from ujes.core import job as jobs
from ujes.core.errors import EngineLost
from ujes.core.instance import (
    Broke,
    EngineInstance,
    Gone,
    InstanceEvent,
    InstanceStatus,
    InstanceTarget,
    Launching,
    Opened,
    Stopping,
    StopRequested,
    Taken,
)
from ujes.core.job import (
    CancelRequested,
    Ended,
    Job,
    JobRequest,
    JobState,
    Placed,
    QueueKey,
    Started,
    Unplaced,
)
from ujes.core.owed import Do, Said, Seen, Times, owed_to_instance, owed_to_job

TIMES = Times(
    start_timeout_ms=60_000, interrupt_grace_ms=1000, adopt_timeout_ms=10_000, idle_timeout_ms=300_000
)
LINKED = Seen(is_linked=True, unlinked_since_ms=0)
UNLINKED = Seen(is_linked=False, unlinked_since_ms=2000)
DEAD = Seen(is_linked=False, unlinked_since_ms=2000, ended="killed by signal 9")
KILL = CancelRequested(by="ada", reason="Job is killed by user!")
REQUEST = JobRequest(
    submitter="ada", run_as="ada", creator="IDE", engine="duckdb", run_type="sql", code="select 1"
)


def job(*events: jobs.JobEvent) -> Job:
    new = Job(id=7, request=REQUEST, created_at_ms=1000, updated_at_ms=1000)
    for event in events:
        new = jobs.transition(new, event, 2000)
    return new


def instance(*events: InstanceEvent, is_once: bool = False) -> EngineInstance:
    new = EngineInstance(
        tag="duckdb-1",
        queue=QueueKey(run_as="ada", creator="IDE", engine="duckdb"),
        is_once=is_once,
        token_hash="00",
        created_at_ms=1000,
        updated_at_ms=1000,
    )
    for event in events:
        new = instances.transition(new, event, 2000)
    return new


SCHEDULED = job(Placed(instance="duckdb-1", is_reuse=False))
RUNNING = job(Placed(instance="duckdb-1", is_reuse=False), Started(instance="duckdb-1"))
KILLED = jobs.transition(RUNNING, KILL, 2000)
BUSY = instance(Launching(handle="h"), Opened(), Taken(job_id=7))
IDLE = instance(Launching(handle="h"), Opened())
STARTING = instance(Launching(handle="h"))

# --- jobs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "waiting", [job(), job(KILL), job(Ended(outcome=JobState.FAILED, code=1, text="no"))]
)
def test_a_job_that_is_not_placed_is_owed_nothing(waiting: Job) -> None:
    assert owed_to_job(waiting, None, LINKED, Said(), TIMES, 9000) is None


def test_a_placed_job_is_sent_once_over_each_link() -> None:
    assert owed_to_job(SCHEDULED, BUSY, LINKED, Said(), TIMES, 3000) is Do.SEND_RUN
    assert owed_to_job(SCHEDULED, BUSY, LINKED, Said(run=True), TIMES, 3000) is None
    assert owed_to_job(SCHEDULED, BUSY, UNLINKED, Said(), TIMES, 3000) is None


def test_a_running_job_is_left_alone() -> None:
    for seen in (LINKED, UNLINKED):
        assert owed_to_job(RUNNING, BUSY, seen, Said(), TIMES, 99_000) is None


def test_a_killed_job_is_interrupted_once_then_its_instance_goes() -> None:
    assert owed_to_job(KILLED, BUSY, LINKED, Said(run=True), TIMES, 2500) is Do.INTERRUPT
    assert owed_to_job(KILLED, BUSY, LINKED, Said(run=True, interrupt=True), TIMES, 2999) is None
    late = owed_to_job(KILLED, BUSY, LINKED, Said(run=True, interrupt=True), TIMES, 3000)
    assert isinstance(late, StopRequested)
    assert "7" in late.reason


def test_a_killed_job_without_a_link_waits_no_longer() -> None:
    assert owed_to_job(KILLED, BUSY, UNLINKED, Said(), TIMES, 2500) is None
    assert isinstance(owed_to_job(KILLED, BUSY, UNLINKED, Said(), TIMES, 3000), StopRequested)


@pytest.mark.parametrize("gone", [None, instances.transition(BUSY, Broke(reason="killed by signal 9"), 3000)])
def test_what_follows_from_a_lost_engine(gone: EngineInstance | None) -> None:
    assert isinstance(owed_to_job(SCHEDULED, gone, DEAD, Said(), TIMES, 3000), Unplaced)
    assert owed_to_job(KILLED, gone, DEAD, Said(), TIMES, 3000) == Ended(outcome=JobState.CANCELLED)
    failed = owed_to_job(RUNNING, gone, DEAD, Said(), TIMES, 3000)
    assert isinstance(failed, Ended)
    assert (failed.outcome, failed.code) == (JobState.FAILED, EngineLost.code)
    assert failed.text is not None
    assert ("killed by signal 9" in failed.text) == (gone is not None)


# --- instances ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "seen", "now_ms", "step"),
    [
        (instance(), UNLINKED, 3000, Do.LAUNCH),
        (STARTING, UNLINKED, 3000, None),
        (STARTING, DEAD, 3000, Broke(reason="killed by signal 9")),
        (IDLE, LINKED, 301_999, None),
        (IDLE, DEAD, 3000, Broke(reason="killed by signal 9")),
        (IDLE, UNLINKED, 11_999, None),
        (BUSY, LINKED, 10**9, None),
        (BUSY, UNLINKED, 11_999, None),
        (BUSY, DEAD, 3000, Broke(reason="killed by signal 9")),
        (instances.transition(IDLE, StopRequested(reason="x"), 2500), LINKED, 3000, Do.STOP),
        (instances.transition(BUSY, StopRequested(reason="x"), 2500), UNLINKED, 3000, Do.STOP),
        (instances.transition(IDLE, Stopping(), 2500), UNLINKED, 3000, Do.STOP),
        (instances.transition(IDLE, StopRequested(reason="x"), 2500), DEAD, 3000, Gone()),
        (instances.transition(IDLE, Gone(), 2500), DEAD, 3000, None),
        # A dead process whose last words are still coming is not over yet.
        (BUSY, replace(DEAD, is_linked=True), 3000, None),
    ],
)
def test_the_next_step(record: EngineInstance, seen: Seen, now_ms: int, step: object) -> None:
    assert owed_to_instance(record, seen, TIMES, now_ms) == step


@pytest.mark.parametrize(
    ("record", "seen", "now_ms", "said"),
    [
        (STARTING, UNLINKED, 61_000, "not ready within 60 s"),
        (IDLE, UNLINKED, 12_000, "did not dial in within 10 s"),
        (BUSY, UNLINKED, 12_000, "did not dial in within 10 s"),
        (IDLE, LINKED, 302_000, "idle for 300 s"),
    ],
)
def test_what_takes_too_long_is_stopped_with_a_reason(
    record: EngineInstance, seen: Seen, now_ms: int, said: str
) -> None:
    step = owed_to_instance(record, seen, TIMES, now_ms)
    assert isinstance(step, StopRequested)
    assert said in step.reason


def test_who_may_stay_idle() -> None:
    assert owed_to_instance(IDLE, LINKED, TIMES, 10**9, is_spare=True) is None
    assert owed_to_instance(IDLE, LINKED, replace(TIMES, idle_timeout_ms=0), 10**9) is None


@given(
    st.sampled_from([instance(), STARTING, IDLE, BUSY]),
    st.integers(2000, 10**7),
    st.booleans(),
    st.sampled_from([LINKED, UNLINKED, DEAD]),
)
def test_following_the_steps_of_one_told_to_stop_ends_it(
    record: EngineInstance, now_ms: int, is_lost: bool, seen: Seen
) -> None:
    """Whatever it was doing, however often its link breaks: three steps and it is over."""
    record = instances.transition(record, StopRequested(reason="the end"), now_ms)
    assert record.target is InstanceTarget.STOPPED
    for _ in range(3):
        step = owed_to_instance(record, seen, TIMES, now_ms)
        if step is Do.STOP:
            record = instances.transition(record, Stopping(), now_ms)
            seen = DEAD
        elif isinstance(step, Gone | Broke):
            record = instances.transition(record, step, now_ms)
    assert record.status in {InstanceStatus.STOPPED, InstanceStatus.FAILED}


@given(
    st.sampled_from([SCHEDULED, RUNNING, KILLED, jobs.transition(SCHEDULED, KILL, 2000)]),
    st.sampled_from([None, BUSY, instances.transition(BUSY, Broke(reason="died"), 2500)]),
    st.sampled_from([LINKED, UNLINKED, DEAD]),
    st.builds(Said, run=st.booleans(), interrupt=st.booleans()),
    st.integers(2000, 10**6),
)
def test_a_step_that_is_an_event_is_never_owed_twice(
    record: Job, held_by: EngineInstance | None, seen: Seen, said: Said, now_ms: int
) -> None:
    step = owed_to_job(record, held_by, seen, said, TIMES, now_ms)
    if isinstance(step, Ended | Unplaced):
        after = jobs.transition(record, step, now_ms)
        assert after is not record
        assert owed_to_job(after, held_by, seen, said, TIMES, now_ms) is None
    if record.cancel is not None and now_ms >= 3000:
        assert step is not None, "a kill does not wait for ever"
