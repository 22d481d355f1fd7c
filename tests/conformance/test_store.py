"""What a store is: each database in `DATABASES` passes all of it.

Refusals, full and locked disks and the schema's text are SQLite's own; they stand at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine, event

from ujes.core.errors import InternalError, InvalidRequest, NotFound, StorageFull
from ujes.core.instance import Broke, EngineInstance, Gone, Launching, Opened
from ujes.core.instance import transition as instance_transition
from ujes.core.job import (
    Cancel,
    CancelRequested,
    Ended,
    Job,
    JobEvent,
    JobRequest,
    JobState,
    Placed,
    QueueKey,
    Refused,
    Started,
    transition,
)
from ujes.gateway.store import migrate
from ujes.gateway.store.records import Entry, JobQuery, Login, NewJob, ResultSet, Token, User
from ujes.gateway.store.store import Store, StoreRefused
from ujes.gateway.store.tables import metadata

PATIENCE_S = 60.0
DATABASES = ["sqlite"]

REQUEST = JobRequest(
    submitter="anna",
    run_as="hadoop",
    creator="IDE",
    engine="duckdb",
    run_type="sql",
    code="select 1",
    labels={"engineType": "duckdb-1"},
)
INSTANCE = EngineInstance(
    tag="duckdb-7f3a9c21d4e0",
    queue=QueueKey(run_as="hadoop", creator="IDE", engine="duckdb"),
    startup={"threads": "2"},
    token_hash="ab" * 32,
    created_at_ms=1,
    updated_at_ms=1,
)


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of each kind."""
    assert request.param == "sqlite"
    return f"sqlite:///{tmp_path / 'ujes.db'}"


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Path:
    return tmp_path / "ujes.db"


@pytest.fixture
def failures() -> list[Exception]:
    return []


@pytest.fixture
async def store(database: str, failures: list[Exception]) -> AsyncIterator[Store]:
    store = await Store.open(database, on_failure=failures.append)
    yield store
    await store.close()


def new_job(now_ms: int = 1000, refusal: Refused | None = None, **changes: Any) -> NewJob:
    return NewJob(request=replace(REQUEST, **changes), now_ms=now_ms, node="node-1", refusal=refusal)


def after(job: Job, *events: JobEvent) -> Job:
    for at_ms, happened in enumerate(events, start=2000):
        job = transition(job, happened, at_ms)
    return job


def entry(job: Job, kind: str, at_ms: int = 1) -> Entry:
    return Entry(subject="job", subject_id=str(job.id), at_ms=at_ms, kind=kind, text=f"about {kind}")


PLACED = Placed(instance=INSTANCE.tag, is_reuse=False)
STARTED = Started(instance=INSTANCE.tag)
SUCCEEDED = Ended(outcome=JobState.SUCCEED)


# --- jobs -------------------------------------------------------------------------------------


async def test_a_new_job_is_read_back_as_it_was_answered(store: Store) -> None:
    job = await store.add_job(new_job())
    assert job.state is JobState.INITED
    assert await store.job(job.id) == job


async def test_an_unknown_job_is_none(store: Store) -> None:
    assert await store.job(1) is None


async def test_a_refused_job_is_stored_failed_at_once(store: Store) -> None:
    job = await store.add_job(new_job(refusal=Refused(code=20007, text="There is no code.")))
    assert (job.state, job.error_code, job.error) == (JobState.FAILED, 20007, "There is no code.")
    assert await store.job(job.id) == job
    assert await store.unfinished_jobs() == ()


async def test_ids_of_64_submitters_are_unique_and_ascend_for_each(store: Store) -> None:
    async def submit(number: int) -> list[Job]:
        return [await store.add_job(new_job(code=f"{number} {turn}")) for turn in range(20)]

    answered = await asyncio.gather(*(submit(number) for number in range(64)))
    for jobs in answered:
        assert [job.id for job in jobs] == sorted(job.id for job in jobs)
    every = [job for jobs in answered for job in jobs]
    assert len({job.id for job in every}) == 64 * 20
    assert list(await store.unfinished_jobs()) == sorted(every, key=lambda job: job.id)


async def test_an_id_is_never_given_twice(store: Store, database: str) -> None:
    first = await store.add_job(new_job())
    await store.close()
    engine = create_engine(database)
    with engine.begin() as connection:
        connection.execute(metadata.tables["jobs"].delete())
    engine.dispose()
    again = await Store.open(database)
    assert (await again.add_job(new_job())).id > first.id
    await again.close()


async def test_two_stores_on_one_database_share_the_ids(store: Store, database: str) -> None:
    other = await Store.open(database)
    jobs = await asyncio.gather(*(s.add_job(new_job()) for _ in range(50) for s in (store, other)))
    await other.close()
    assert len({job.id for job in jobs}) == 100


async def test_of_two_changes_from_one_version_one_wins(store: Store) -> None:
    job = await store.add_job(new_job())
    cancelled = after(job, CancelRequested(by="anna", reason="changed her mind"))
    placed = after(job, PLACED)
    won = tuple(await asyncio.gather(store.save_job(job, cancelled), store.save_job(job, placed)))
    assert won == (True, False)
    assert await store.job(job.id) == cancelled


async def test_a_lost_change_leaves_no_entry(store: Store) -> None:
    job = await store.add_job(new_job())
    assert await store.save_job(job, after(job, PLACED), [entry(job, "placed")])
    assert not await store.save_job(job, after(job, PLACED, STARTED), [entry(job, "lost")])
    assert [e.kind for e in await store.story(job.id)] == ["placed"]


async def test_ended_stays_ended(store: Store) -> None:
    job = await store.add_job(new_job())
    running = after(job, PLACED, STARTED)
    ended = after(running, SUCCEEDED)
    assert await store.save_job(job, running)
    assert await store.save_job(running, ended)
    assert not await store.save_job(running, after(running, Ended(outcome=JobState.FAILED, text="late")))
    assert not await store.save_job(ended, replace(ended, error="late", version=ended.version + 1))
    with pytest.raises(InternalError, match="ended"):
        store.save_job_soon(ended, replace(ended, error="late", version=ended.version + 1))
    assert await store.job(job.id) == ended


async def test_a_change_must_raise_the_version(store: Store) -> None:
    job = await store.add_job(new_job())
    with pytest.raises(InternalError, match="does not follow"):
        await store.save_job(job, job)


async def test_soon_and_waited_for_changes_keep_their_order(store: Store, failures: list[Exception]) -> None:
    job = await store.add_job(new_job())
    placed, running = after(job, PLACED), after(job, PLACED, STARTED)
    ended = after(running, SUCCEEDED)
    store.save_job_soon(job, placed, [entry(job, "placed")])
    store.save_job_soon(placed, running, [entry(job, "started")])
    assert await store.save_job(running, ended, [entry(job, "ended")])
    assert await store.job(job.id) == ended
    assert [e.kind for e in await store.story(job.id)] == ["placed", "started", "ended"]
    assert failures == []


async def test_a_soon_change_that_lost_is_told(store: Store, failures: list[Exception]) -> None:
    job = await store.add_job(new_job())
    store.save_job_soon(job, after(job, PLACED))
    store.save_job_soon(job, after(job, CancelRequested(by="anna", reason="")))
    await store.add_job(new_job())
    assert [type(failure) for failure in failures] == [InternalError]


async def test_unfinished_jobs_come_by_id(store: Store) -> None:
    jobs = [await store.add_job(new_job()) for _ in range(5)]
    assert await store.save_job(jobs[2], after(jobs[2], CancelRequested(by="anna", reason="")))
    running = after(jobs[3], PLACED, STARTED)
    assert await store.save_job(jobs[3], running)
    assert await store.unfinished_jobs() == (jobs[0], jobs[1], running, jobs[4])


async def test_the_story_tells_what_happened_in_order(store: Store) -> None:
    job, other = await store.add_job(new_job()), await store.add_job(new_job())
    told = [entry(job, kind, at_ms) for at_ms, kind in enumerate(["placed", "started", "slow"])]
    assert await store.save_job(other, after(other, PLACED), [entry(other, "placed")])
    assert await store.save_job(job, after(job, PLACED, STARTED), told)
    assert await store.story(job.id) == tuple(told)


async def test_one_poisonous_write_fails_alone(store: Store) -> None:
    words = [f"job {number}" for number in range(20)]
    words[7] = "lone surrogate \ud800"
    answers = await asyncio.gather(
        *(store.add_job(new_job(code=word)) for word in words), return_exceptions=True
    )
    assert isinstance(answers[7], InvalidRequest)
    good = [answer for answer in answers if isinstance(answer, Job)]
    assert len(good) == 19
    assert [await store.job(job.id) for job in good] == good


async def test_a_lone_surrogate_in_a_label_is_refused(store: Store) -> None:
    with pytest.raises(InvalidRequest, match="surrogate"):
        await store.add_job(new_job(labels={"engineType": "\udfff"}))


async def test_a_number_too_large_for_a_column_fails_alone(store: Store) -> None:
    answers = await asyncio.gather(
        store.add_job(new_job(now_ms=2**70)), store.add_job(new_job()), return_exceptions=True
    )
    assert isinstance(answers[0], InternalError)
    assert isinstance(answers[1], Job)


# --- lists ------------------------------------------------------------------------------------


@pytest.fixture
async def listed(store: Store) -> list[Job]:
    """Ten jobs, oldest first: two submitters, two engines, the first three over."""
    jobs = [
        await store.add_job(
            new_job(
                now_ms=1000 + number,
                submitter=("anna", "ben")[number % 2],
                engine=("duckdb", "python")[number % 5 == 0],
                creator="IDE" if number < 8 else "nodeexecution",
                run_type="sql" if number % 5 else "py",
            )
        )
        for number in range(10)
    ]
    for number in range(3):
        over = after(jobs[number], PLACED, STARTED, SUCCEEDED)
        assert await store.save_job(jobs[number], over)
        jobs[number] = over
    return jobs


async def test_lists_are_newest_first_with_a_total(store: Store, listed: list[Job]) -> None:
    page = await store.jobs(JobQuery(limit=4))
    assert page.jobs == tuple(reversed(listed))[:4]
    assert page.total == 10


async def test_pages_follow_each_other_without_gap(store: Store, listed: list[Job]) -> None:
    pages = [await store.jobs(JobQuery(offset=offset, limit=3)) for offset in range(0, 12, 3)]
    assert [job for page in pages for job in page.jobs] == listed[::-1]
    past = await store.jobs(JobQuery(offset=100))
    assert (past.jobs, past.total) == ((), 10)


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        (JobQuery(submitter="anna"), [8, 6, 4, 2, 0]),
        (JobQuery(run_as="hadoop", limit=2), [9, 8]),
        (JobQuery(run_as="nobody"), []),
        (JobQuery(states=frozenset({JobState.SUCCEED})), [2, 1, 0]),
        (JobQuery(states=frozenset({JobState.SUCCEED, JobState.INITED}), limit=3), [9, 8, 7]),
        (JobQuery(engine="python"), [5, 0]),
        (JobQuery(run_type="py", submitter="ben"), [5]),
        (JobQuery(creator="nodeexecution"), [9, 8]),
        (JobQuery(instance=INSTANCE.tag), [2, 1, 0]),
        (JobQuery(created_from_ms=1007), [9, 8, 7]),
        (JobQuery(created_to_ms=1001), [1, 0]),
        (JobQuery(created_from_ms=1003, created_to_ms=1005, submitter="ben"), [5, 3]),
    ],
)
async def test_a_list_holds_what_was_asked_for(
    store: Store, listed: list[Job], query: JobQuery, numbers: list[int]
) -> None:
    page = await store.jobs(query)
    assert page.jobs == tuple(listed[number] for number in numbers)
    assert page.total == len((await store.jobs(replace(query, limit=100))).jobs)


async def test_jobs_are_listed_by_their_ids(store: Store, listed: list[Job]) -> None:
    wanted = (listed[1].id, listed[6].id, 999_999)
    assert (await store.jobs(JobQuery(ids=wanted))).jobs == (listed[6], listed[1])


# --- result sets, instances -------------------------------------------------------------------


async def test_a_result_told_twice_is_stored_once(store: Store) -> None:
    job = await store.add_job(new_job())
    results = [
        ResultSet(
            job_id=job.id, index=i, path=f"/r/_{i}.arrow", kind="table", rows=3, columns=2, size_bytes=9
        )
        for i in range(3)
    ]
    for result in [results[2], results[0], results[0], results[1], results[2]]:
        await store.add_result(result)
    assert await store.results(job.id) == tuple(results)
    assert await store.results(job.id + 1) == ()


async def test_a_result_of_no_job_is_refused(store: Store) -> None:
    lost = ResultSet(job_id=99, index=0, path="x", kind="text", rows=1, columns=1, size_bytes=1)
    with pytest.raises(InternalError):
        await store.add_result(lost)


async def test_an_instance_lives_and_ends(store: Store) -> None:
    born = Entry(subject="instance", subject_id=INSTANCE.tag, at_ms=1, kind="requested")
    await store.add_instance(INSTANCE, [born])
    assert await store.instance(INSTANCE.tag) == INSTANCE
    starting = instance_transition(INSTANCE, Launching(handle='{"pid": 7}'), 2)
    idle = instance_transition(starting, Opened(), 3)
    store.save_instance_soon(INSTANCE, starting)
    assert await store.save_instance(starting, idle)
    assert await store.live_instances() == (idle,)
    assert not await store.save_instance(starting, instance_transition(starting, Broke(reason="late"), 4))
    over = instance_transition(idle, Gone(), 5)
    assert await store.save_instance(idle, over, [replace(born, at_ms=5, kind="stopped")])
    assert await store.live_instances() == ()
    assert await store.instance(INSTANCE.tag) == over
    assert [e.kind for e in await store.instance_story(INSTANCE.tag)] == ["requested", "stopped"]


async def test_a_tag_is_used_once(store: Store) -> None:
    await store.add_instance(INSTANCE)
    with pytest.raises(InternalError):
        await store.add_instance(INSTANCE)


async def test_an_unknown_instance_is_none(store: Store) -> None:
    assert await store.instance("none") is None


# --- users, tokens, logins --------------------------------------------------------------------

ANNA = User(name="anna", password_hash="$argon2id$1", is_admin=False, created_at_ms=1)
TOKEN = Token(id="t1", token_hash="aa", users=("anna", "ben"), hosts=("*",), created_at_ms=1)
LOGIN = Login(ticket_hash="cc", user="anna", created_at_ms=1, seen_at_ms=1)


async def test_users_come_change_and_go(store: Store) -> None:
    ben = replace(ANNA, name="ben", is_admin=True)
    await store.add_user(ben)
    await store.add_user(ANNA)
    assert await store.users() == (ANNA, ben)
    changed = replace(ANNA, password_hash="$argon2id$2", is_admin=True)
    await store.save_user(changed)
    assert await store.user("anna") == changed
    assert await store.drop_user("anna")
    assert not await store.drop_user("anna")
    assert await store.user("anna") is None


async def test_a_user_name_is_taken_once_and_changed_only_when_known(store: Store) -> None:
    await store.add_user(ANNA)
    with pytest.raises(InvalidRequest, match="`anna` already"):
        await store.add_user(ANNA)
    with pytest.raises(NotFound, match="`ben`"):
        await store.save_user(replace(ANNA, name="ben"))


async def test_a_dropped_user_is_logged_out(store: Store) -> None:
    await store.add_user(ANNA)
    await store.add_login(LOGIN)
    await store.add_login(replace(LOGIN, ticket_hash="dd", user="ben"))
    await store.drop_user("anna")
    assert [login.user for login in await store.logins()] == ["ben"]


async def test_tokens_come_are_used_and_go(store: Store) -> None:
    await store.add_token(TOKEN)
    other = replace(TOKEN, id="t2", token_hash="bb", users=("*",), created_at_ms=2, expires_at_ms=9)
    await store.add_token(other)
    assert await store.tokens() == (TOKEN, other)
    store.touch_token("aa", 77)
    assert await store.drop_token("t2")
    assert not await store.drop_token("t2")
    assert await store.token("aa") == replace(TOKEN, last_used_at_ms=77)
    assert await store.token("bb") is None
    with pytest.raises(InvalidRequest, match="`t1` already"):
        await store.add_token(TOKEN)


async def test_logins_come_are_seen_and_go(store: Store) -> None:
    await store.add_login(LOGIN)
    store.touch_login("cc", 55)
    store.touch_login("gone", 55)
    later = replace(LOGIN, ticket_hash="dd", created_at_ms=2)
    await store.add_login(later)
    assert await store.logins() == (replace(LOGIN, seen_at_ms=55), later)
    assert await store.drop_login("cc")
    assert not await store.drop_login("cc")
    assert await store.logins() == (later,)


# --- any text ---------------------------------------------------------------------------------

NUMBERS = st.integers(min_value=0, max_value=2**63 - 1)
MAPS = st.dictionaries(st.text(), st.text(), max_size=3)
REQUESTS = st.builds(
    JobRequest,
    submitter=st.text(),
    run_as=st.text(),
    creator=st.text(),
    engine=st.text(),
    engine_version=st.text(),
    run_type=st.text(),
    code=st.text() | st.text(min_size=1).map(lambda text: text * 5000),
    labels=MAPS,
    variables=MAPS,
    startup=MAPS,
    runtime=MAPS,
    params_json=st.text(),
    source=MAPS,
)
CHANGES = st.fixed_dictionaries(
    {
        "run_code": st.none() | st.text(),
        "state": st.sampled_from(JobState),
        "progress": st.floats(0, 1),
        "instance": st.none() | st.text(),
        "is_reuse": st.none() | st.booleans(),
        "launch_failures": NUMBERS,
        "updated_at_ms": NUMBERS,
        "scheduled_at_ms": st.none() | NUMBERS,
        "running_at_ms": st.none() | NUMBERS,
        "ended_at_ms": st.none() | NUMBERS,
        "cancel": st.none() | st.builds(Cancel, by=st.text(), reason=st.text(), at_ms=NUMBERS),
        "error_code": st.none() | st.integers(-(2**63), 2**63 - 1),
        "error": st.none() | st.text(),
        "node": st.text(),
        "version": st.integers(1, 2**63 - 1),
    }
)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases=st.lists(st.tuples(REQUESTS, CHANGES), min_size=1, max_size=8))
def test_any_job_is_read_back_equal(
    tmp_path_factory: pytest.TempPathFactory, cases: list[tuple[JobRequest, dict[str, Any]]]
) -> None:
    file = tmp_path_factory.mktemp("any") / "ujes.db"
    asyncio.run(_round_trips(f"sqlite:///{file}", cases))


async def _round_trips(url: str, cases: list[tuple[JobRequest, dict[str, Any]]]) -> None:
    store = await Store.open(url)
    news = [NewJob(request=request, now_ms=5, node="n") for request, _ in cases]
    jobs = await asyncio.gather(*(store.add_job(new) for new in news))
    for job, (request, changes) in zip(jobs, cases, strict=True):
        assert (await store.job(job.id), job.request) == (job, request)
        changed = replace(job, **changes)
        assert await store.save_job(job, changed)
        assert await store.job(job.id) == changed
    assert len((await store.jobs(JobQuery(limit=100))).jobs) == len(cases)
    await store.close()


# --- opening, closing, dying ------------------------------------------------------------------


async def test_close_stores_what_was_not_waited_for_and_ends_its_threads(database: str) -> None:
    store = await Store.open(database)
    jobs = [await store.add_job(new_job()) for _ in range(20)]
    for job in jobs:
        store.save_job_soon(job, after(job, PLACED))
    await store.close()
    await store.close()
    assert not [t.name for t in threading.enumerate() if t.name.startswith("store-")]
    with pytest.raises(InternalError, match="closed"):
        await store.job(1)
    with pytest.raises(InternalError, match="closed"):
        await store.add_job(new_job())
    again = await Store.open(database)
    assert [await again.job(job.id) for job in jobs] == [after(job, PLACED) for job in jobs]
    await again.close()


async def test_everything_is_there_after_it_was_opened_again(store: Store, database: str) -> None:
    job = await store.add_job(new_job())
    await store.add_instance(INSTANCE)
    await store.add_user(ANNA)
    await store.add_token(TOKEN)
    await store.add_login(LOGIN)
    await store.close()
    again = await Store.open(database)
    assert await again.unfinished_jobs() == (job,)
    assert await again.live_instances() == (INSTANCE,)
    assert (await again.users(), await again.tokens(), await again.logins()) == ((ANNA,), (TOKEN,), (LOGIN,))
    await again.close()


_SUBMITS_FOR_EVER = """
import asyncio, sys
from ujes.core.job import JobRequest
from ujes.gateway.store.records import NewJob
from ujes.gateway.store.store import Store

async def submit(store):
    while True:
        request = JobRequest(submitter="a", run_as="a", creator="c", engine="e", run_type="sql", code="x")
        job = await store.add_job(NewJob(request=request, now_ms=1, node="n"))
        print(job.id, flush=True)

async def main():
    store = await Store.open(sys.argv[1])
    await asyncio.gather(*(submit(store) for _ in range(16)))

asyncio.run(main())
"""


async def test_what_was_acknowledged_survives_a_sudden_death(database: str) -> None:
    child = _start(_SUBMITS_FOR_EVER, database)
    assert child.stdout is not None
    acknowledged = [int(child.stdout.readline()) for _ in range(500)]
    child.kill()
    acknowledged += [
        int(line) for line in child.stdout.read().splitlines(keepends=True) if line.endswith("\n")
    ]
    child.wait(PATIENCE_S)
    child.stdout.close()
    store = await Store.open(database)
    stored = {job.id for job in await store.unfinished_jobs()}
    await store.close()
    assert set(acknowledged) <= stored
    assert len(set(acknowledged)) == len(acknowledged)


_ADDS_ONE = _SUBMITS_FOR_EVER.replace("while True:", "for _ in range(1):").replace("range(16)", "range(1)")


def test_processes_that_open_an_empty_database_together_all_succeed(database: str) -> None:
    children = [_start(_ADDS_ONE, database) for _ in range(4)]
    outputs = [child.communicate(timeout=PATIENCE_S)[0] for child in children]
    assert sorted(outputs) == ["1\n", "2\n", "3\n", "4\n"]


def _start(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, text=True)


# --- SQLite: refusals, full and locked --------------------------------------------------------


async def refusal(url: str) -> str:
    with pytest.raises(StoreRefused) as refused:
        await Store.open(url)
    return refused.value.message


async def test_a_file_that_is_no_database_is_refused(sqlite_file: Path) -> None:
    notes = b"These are my notes, dear diary. " * 100
    _write(sqlite_file, notes)
    said = await refusal(f"sqlite:///{sqlite_file}")
    assert str(sqlite_file) in said
    assert "not a database" in said
    assert "Move it away" in said
    assert _content(sqlite_file) == notes


async def test_a_damaged_database_is_refused(store: Store, sqlite_file: Path) -> None:
    await store.close()
    content = _content(sqlite_file)
    _write(sqlite_file, content[:100] + b"\xff" * 3996 + content[4096:])
    said = await refusal(f"sqlite:///{sqlite_file}")
    assert "damaged" in said
    assert "backup" in said


async def test_a_newer_database_is_refused(store: Store, sqlite_file: Path) -> None:
    await store.close()
    _run_sql(sqlite_file, "UPDATE alembic_version SET version_num = '9999'")
    said = await refusal(f"sqlite:///{sqlite_file}")
    assert "newer UJES" in said
    assert "Upgrade UJES" in said


async def test_a_database_of_another_program_is_refused(sqlite_file: Path) -> None:
    _run_sql(sqlite_file, "CREATE TABLE recipes (name TEXT)")
    assert "another program" in await refusal(f"sqlite:///{sqlite_file}")


async def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "is a folder" in await refusal(f"sqlite:///{tmp_path}")


async def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    assert "is not there" in await refusal(f"sqlite:///{tmp_path / 'none' / 'ujes.db'}")


async def test_a_file_without_permission_is_refused(sqlite_file: Path) -> None:
    _write(sqlite_file, b"")
    _forbid(sqlite_file)
    with _mortal():
        assert "permission" in await refusal(f"sqlite:///{sqlite_file}")


async def test_a_database_in_memory_is_refused() -> None:
    assert "in memory" in await refusal("sqlite://")


async def test_a_broken_url_is_refused_without_repeating_it() -> None:
    for url in ("not a url", "nosuchdb://anna:secret@host/db"):
        said = await refusal(url)
        assert "`database`" in said
        assert "secret" not in said


def _content(file: Path) -> bytes:
    return file.read_bytes()


def _write(file: Path, content: bytes) -> None:
    file.write_bytes(content)


def _forbid(file: Path) -> None:
    file.chmod(0o000)


@contextlib.contextmanager
def _mortal() -> Iterator[None]:
    """Nothing is forbidden to root, so for a moment be nobody."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    yield
    os.seteuid(was)


def _run_sql(file: Path, sql: str) -> None:
    connection = sqlite3.connect(file)
    connection.execute(sql)
    connection.commit()
    connection.close()


class Disk:
    """Lets a test fill the disk under SQLite, and make room again."""

    def __init__(self) -> None:
        self._connections: list[Any] = []

    def on_connect(self, connection: Any, _record: object) -> None:
        self._connections.append(connection)

    def fill(self) -> None:
        self._limit(1)

    def make_room(self) -> None:
        self._limit(1_000_000)

    def _limit(self, pages: int) -> None:
        for connection in self._connections:
            connection.execute(f"PRAGMA max_page_count = {pages}")


@pytest.fixture
def disk() -> Any:
    disk = Disk()
    event.listen(Engine, "connect", disk.on_connect)
    yield disk
    event.remove(Engine, "connect", disk.on_connect)


LONG = "x" * 1_000_000


async def test_on_a_full_disk_callers_are_told_and_nothing_else_is_lost(
    disk: Disk, store: Store, failures: list[Exception]
) -> None:
    job = await store.add_job(new_job())
    placed = replace(after(job, PLACED), run_code=LONG)
    disk.fill()
    with pytest.raises(StorageFull, match="no space left"):
        await store.add_job(new_job(code=LONG))
    store.save_job_soon(job, placed)
    with pytest.raises(StorageFull):
        await store.save_job(placed, after(placed, STARTED))
    disk.make_room()
    assert await store.save_job(placed, after(placed, STARTED))
    assert (await store.add_job(new_job())).id > job.id
    assert await store.job(job.id) == after(placed, STARTED)
    assert failures == []


async def test_a_locked_database_is_a_passing_fault(
    store: Store, sqlite_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.close()
    monkeypatch.setattr("ujes.gateway.store.database.BUSY_TIMEOUT_S", 0.0)
    impatient = await Store.open(f"sqlite:///{sqlite_file}")
    other = sqlite3.connect(sqlite_file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageFull, match="locked"):
        await impatient.add_job(new_job())
    other.execute("ROLLBACK")
    other.close()
    assert isinstance(await impatient.add_job(new_job()), Job)
    await impatient.close()


async def test_every_commit_is_synced(disk: Disk, store: Store) -> None:
    await store.add_job(new_job())
    modes = {
        (c.execute("PRAGMA journal_mode").fetchone()[0], c.execute("PRAGMA synchronous").fetchone()[0])
        for c in disk._connections
    }
    assert ("wal", 2) in modes


# --- migrations -------------------------------------------------------------------------------


def _schema(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name != 'sqlite_sequence'")
        return sorted("".join(sql.split()) for (sql,) in rows if sql)


def test_migrations_and_tables_end_the_same(tmp_path: Path) -> None:
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415 - slow, and the store must not need it
    from alembic.migration import MigrationContext  # noqa: PLC0415

    migrated = create_engine(f"sqlite:///{tmp_path / 'migrated.db'}")
    with migrated.begin() as connection:
        migrate.run_migrations(connection)
    with migrated.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    made = create_engine(f"sqlite:///{tmp_path / 'made.db'}")
    migrate.prepare(made)
    assert _schema(migrated) == _schema(made)
    migrate.prepare(migrated)
    migrated.dispose()
    made.dispose()


def test_the_known_revisions_are_those_of_the_folder() -> None:
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    folder = ScriptDirectory(str(Path(migrate.__file__).parent / "migrations"))
    assert [script.revision for script in folder.walk_revisions()][::-1] == list(migrate.REVISIONS)


async def test_an_older_database_is_brought_up(database: str) -> None:
    engine = create_engine(database)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    engine.dispose()
    store = await Store.open(database)
    assert isinstance(await store.add_job(new_job()), Job)
    await store.close()


_OPENS = """
import asyncio, sys
from ujes.gateway.store.store import Store


async def main():
    store = await Store.open(sys.argv[1])
    await store.close()

asyncio.run(main())
print("alembic" in sys.modules, "sqlalchemy.orm" in sys.modules)
"""


def test_opening_an_empty_or_a_current_database_does_without_alembic(database: str) -> None:
    for _ in range(2):
        opened = subprocess.run(
            [sys.executable, "-c", _OPENS, database],
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE_S,
        )
        assert opened.stdout == "False False\n"
