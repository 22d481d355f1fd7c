"""The job's transitions: the table, and what any sequence of events leaves standing."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ujes.core.job import (
    ERROR_CHARS_MAX,
    PROGRESS_CEILING,
    PROGRESS_FLOOR,
    Cancel,
    CancelRequested,
    Ended,
    Job,
    JobEvent,
    JobRequest,
    JobState,
    LaunchFailed,
    Placed,
    Progressed,
    Refused,
    Rewritten,
    Started,
    Unplaced,
    shorten,
    transition,
)

INITED, SCHEDULED, RUNNING = JobState.INITED, JobState.SCHEDULED, JobState.RUNNING
SUCCEED, FAILED, CANCELLED = JobState.SUCCEED, JobState.FAILED, JobState.CANCELLED
ORDER = list(JobState)

REQUEST = JobRequest(
    submitter="ada", run_as="ada", creator="IDE", engine="duckdb", run_type="sql", code="select 1"
)


def job(state: JobState = INITED, **given: object) -> Job:
    """A job in `state`, got there as jobs get there."""
    new = Job(id=7, request=REQUEST, created_at_ms=1000, updated_at_ms=1000)
    for event in WAYS[state]:
        new = transition(new, event, new.updated_at_ms + 1)
    return replace(new, **given)  # type: ignore[arg-type]


PLACED = Placed(instance="duckdb-1", is_reuse=True)
STARTED = Started(instance="duckdb-1")
KILL = CancelRequested(by="ada", reason="Job is killed by user!")
WAYS: dict[JobState, list[JobEvent]] = {
    INITED: [],
    SCHEDULED: [PLACED],
    RUNNING: [PLACED, STARTED],
    SUCCEED: [PLACED, STARTED, Ended(outcome=SUCCEED)],
    FAILED: [PLACED, STARTED, Ended(outcome=FAILED, code=40001, text="no such table: t")],
    CANCELLED: [KILL],
}

# --- the table ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "event", "after"),
    [
        (INITED, Rewritten(run_code="select 2"), INITED),
        (INITED, Refused(code=20051, text="no"), FAILED),
        (INITED, PLACED, SCHEDULED),
        (INITED, Unplaced(reason="lost"), INITED),
        (INITED, LaunchFailed(reason="no memory"), INITED),
        # The write of Scheduled was lost in a crash, the engine goes on.
        (INITED, STARTED, RUNNING),
        (INITED, KILL, CANCELLED),
        (INITED, Ended(outcome=FAILED, code=12003, text="no engine"), FAILED),
        (INITED, Ended(outcome=CANCELLED), CANCELLED),
        (INITED, Progressed(value=0.5), INITED),
        (SCHEDULED, Rewritten(run_code="select 2"), SCHEDULED),
        (SCHEDULED, Refused(code=20051, text="no"), SCHEDULED),
        (SCHEDULED, Placed(instance="duckdb-2", is_reuse=False), SCHEDULED),
        (SCHEDULED, Unplaced(reason="lost"), SCHEDULED),
        (SCHEDULED, STARTED, RUNNING),
        (SCHEDULED, KILL, SCHEDULED),
        (SCHEDULED, Ended(outcome=FAILED), FAILED),
        (RUNNING, Refused(code=20051, text="no"), RUNNING),
        (RUNNING, PLACED, RUNNING),
        (RUNNING, Unplaced(reason="lost"), RUNNING),
        (RUNNING, LaunchFailed(reason="no memory"), RUNNING),
        (RUNNING, KILL, RUNNING),
        (RUNNING, Ended(outcome=SUCCEED), SUCCEED),
        (RUNNING, Ended(outcome=FAILED), FAILED),
        (RUNNING, Ended(outcome=CANCELLED), CANCELLED),
    ],
    ids=str,
)
def test_the_table(state: JobState, event: JobEvent, after: JobState) -> None:
    assert transition(job(state), event, 2000).state is after


@pytest.mark.parametrize("state", [SUCCEED, FAILED, CANCELLED])
def test_nothing_happens_to_a_job_that_has_ended(state: JobState) -> None:
    ended = job(state)
    for event in (
        KILL,
        PLACED,
        STARTED,
        Progressed(value=0.4),
        Ended(outcome=SUCCEED),
        Ended(outcome=FAILED),
    ):
        assert transition(ended, event, 9000) is ended


def test_a_killed_waiting_job_is_over_at_once() -> None:
    killed = transition(job(), KILL, 2000)
    assert (killed.state, killed.error, killed.ended_at_ms) == (CANCELLED, "Job is killed by user!", 2000)
    assert killed.cancel == Cancel(by="ada", reason="Job is killed by user!", at_ms=2000)


@pytest.mark.parametrize("state", [SCHEDULED, RUNNING])
@pytest.mark.parametrize("outcome", [SUCCEED, FAILED, CANCELLED])
def test_a_killed_placed_job_ends_as_cancelled_whatever_its_engine_says(
    state: JobState, outcome: JobState
) -> None:
    killed = transition(job(state), KILL, 2000)
    assert (killed.state, killed.cancel is not None) == (state, True)
    ended = transition(killed, Ended(outcome=outcome, code=1, text="boom"), 2100)  # type: ignore[arg-type]
    assert (ended.state, ended.error) == (CANCELLED, "Job is killed by user!")


def test_the_first_kill_counts() -> None:
    killed = transition(job(RUNNING), KILL, 2000)
    assert transition(killed, CancelRequested(by="root", reason="shutdown"), 2100) is killed


def test_a_killed_job_whose_engine_was_lost_does_not_get_in_line_again() -> None:
    killed = transition(job(SCHEDULED), KILL, 2000)
    assert transition(killed, Unplaced(reason="lost"), 2100).state is CANCELLED


def test_a_job_whose_engine_was_lost_before_it_began_is_in_line_again() -> None:
    lost = transition(job(SCHEDULED), Unplaced(reason="lost"), 2000)
    assert (lost.is_waiting, lost.is_placed, lost.instance, lost.is_reuse) == (True, False, None, None)
    again = transition(lost, Placed(instance="duckdb-2", is_reuse=False), 3000)
    assert (again.instance, again.is_reuse, again.scheduled_at_ms) == ("duckdb-2", False, 3000)


def test_a_failure_without_words_gets_some() -> None:
    failed = transition(job(RUNNING), Ended(outcome=FAILED), 2000)
    assert failed.error
    assert failed.error_code == 0


def test_success_carries_no_error() -> None:
    ended = transition(job(RUNNING), Ended(outcome=SUCCEED, code=5, text="odd"), 2000)
    assert (ended.error_code, ended.error, ended.progress) == (None, None, 1.0)


def test_what_runs_is_the_rewritten_code() -> None:
    assert job().code_to_run == "select 1"
    assert transition(job(), Rewritten(run_code="select 2"), 2000).code_to_run == "select 2"
    assert transition(job(), Rewritten(run_code=""), 2000).code_to_run == ""


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, 0.1), (0.05, 0.1), (0.5, 0.5), (-0.5, 0.5), (0.995, 0.99), (1.0, 0.99), (1.01, 0.1), (-2, 0.1)],
)
def test_progress_stays_in_its_band(value: float, shown: float) -> None:
    assert transition(job(RUNNING), Progressed(value=value), 2000).progress == shown


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_progress_that_is_no_number_changes_nothing(value: float) -> None:
    running = job(RUNNING)
    assert transition(running, Progressed(value=value), 2000) is running


@given(st.text(max_size=3 * ERROR_CHARS_MAX))
def test_errors_are_cut_visibly(text: str) -> None:
    cut = shorten(text)
    assert len(cut) <= ERROR_CHARS_MAX
    assert cut == text or (cut.endswith("...") and text.startswith(cut[:-3]))


# --- any sequence of events -----------------------------------------------------------------------

TAGS = st.sampled_from(["duckdb-1", "duckdb-2"])
WORDS = st.text(max_size=ERROR_CHARS_MAX + 10)
EVENTS: st.SearchStrategy[JobEvent] = st.one_of(
    st.builds(Rewritten, run_code=WORDS),
    st.builds(Refused, code=st.integers(0, 99999), text=WORDS),
    st.builds(Placed, instance=TAGS, is_reuse=st.booleans()),
    st.builds(Unplaced, reason=WORDS),
    st.builds(LaunchFailed, reason=WORDS),
    st.builds(Started, instance=TAGS),
    st.builds(Progressed, value=st.floats()),
    st.builds(CancelRequested, by=st.just("ada"), reason=WORDS),
    st.builds(
        Ended,
        outcome=st.sampled_from([SUCCEED, FAILED, CANCELLED]),
        code=st.none() | st.integers(0, 99999),
        text=st.none() | WORDS,
    ),
)
#: Ends are likely enough by themselves to cut every history short; keep some of them long.
HISTORIES = st.lists(
    st.tuples(
        st.one_of(EVENTS, EVENTS.filter(lambda event: not isinstance(event, Ended))), st.integers(0, 50)
    ),
    max_size=25,
)


def records(history: list[tuple[JobEvent, int]]) -> list[tuple[Job, JobEvent | None]]:
    """Every record of a job's life, each with the event that led to it."""
    now_ms, current = 1000, job()
    life: list[tuple[Job, JobEvent | None]] = [(current, None)]
    for event, passed_ms in history:
        now_ms += passed_ms
        current = transition(current, event, now_ms)
        life.append((current, event))
    return life


def _substance(record: Job) -> Job:
    return replace(record, version=0, updated_at_ms=0)


@given(HISTORIES)
def test_the_first_end_wins(history: list[tuple[JobEvent, int]]) -> None:
    for (before, _), (after, _) in pairwise(records(history)):
        if before.state.is_final:
            assert after is before


@given(HISTORIES)
def test_the_state_moves_to_the_right(history: list[tuple[JobEvent, int]]) -> None:
    for (before, _), (after, _) in pairwise(records(history)):
        assert ORDER.index(before.state) <= ORDER.index(after.state)
        assert after.state not in {JobState.WAIT_FOR_RETRY, JobState.TIMEOUT}


@given(HISTORIES)
def test_progress_never_goes_back_and_keeps_its_band(history: list[tuple[JobEvent, int]]) -> None:
    for (before, _), (after, _) in pairwise(records(history)):
        assert before.progress <= after.progress
    for record, _ in records(history):
        if record.state.is_final:
            assert record.progress == 1.0
        elif record.state is RUNNING:
            assert PROGRESS_FLOOR <= record.progress <= PROGRESS_CEILING
        else:
            assert record.progress == 0.0


@given(HISTORIES)
def test_the_version_counts_stored_changes(history: list[tuple[JobEvent, int]]) -> None:
    for (before, _), (after, event) in pairwise(records(history)):
        is_stored = after is not before and not isinstance(event, Progressed)
        assert after.version == before.version + is_stored
        assert (after is before) == (_substance(after) == _substance(before)), "such a change is none"


@given(HISTORIES)
def test_times_are_in_order(history: list[tuple[JobEvent, int]]) -> None:
    for record, _ in records(history):
        moments = [record.created_at_ms, record.scheduled_at_ms, record.running_at_ms, record.ended_at_ms]
        known = [moment for moment in moments if moment is not None]
        assert known == sorted(known)
        assert known[-1] <= record.updated_at_ms
        assert (record.running_at_ms is not None) >= (record.state is RUNNING)
        assert (record.ended_at_ms is not None) == record.state.is_final


@given(HISTORIES)
def test_a_kill_is_never_forgotten(history: list[tuple[JobEvent, int]]) -> None:
    for (before, _), (after, _) in pairwise(records(history)):
        if before.cancel is not None:
            assert after.cancel == before.cancel
            assert after.state is CANCELLED or after.is_placed, "never in line again"
    last = records(history)[-1][0]
    if last.cancel is not None and last.state.is_final:
        assert last.state is CANCELLED


@given(HISTORIES)
def test_a_job_is_in_line_or_placed_or_over(history: list[tuple[JobEvent, int]]) -> None:
    for record, _ in records(history):
        assert [record.is_waiting, record.is_placed, record.state.is_final].count(True) == 1
        assert record.state is not RUNNING or record.instance is not None


@given(HISTORIES)
def test_whoever_fails_says_why(history: list[tuple[JobEvent, int]]) -> None:
    for record, _ in records(history):
        if record.state is FAILED:
            assert record.error is not None
            assert record.error_code is not None
            assert len(record.error) <= ERROR_CHARS_MAX


@given(HISTORIES, EVENTS)
def test_an_event_heard_twice_counts_once(history: list[tuple[JobEvent, int]], event: JobEvent) -> None:
    """The link may repeat what it said. Launch failures are counted by the gateway alone, which does not."""
    if isinstance(event, LaunchFailed):
        return
    once = transition(records(history)[-1][0], event, 9000)
    assert transition(once, event, 9001) is once
