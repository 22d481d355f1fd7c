"""Whom an engine may speak for: jobs of its own user, creator and engine, and no others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from ujes.core.instance import EngineInstance
from ujes.core.job import Ended as JobEnded
from ujes.core.job import Job, JobEvent, JobRequest, JobState
from ujes.gateway.clock import SystemClock
from ujes.gateway.instances.fleet import Fleet
from ujes.gateway.instances.reports import Reports
from ujes.gateway.observe import Fault, Observers
from ujes.gateway.store.store import Store
from ujes.link.messages import LINK_VERSION, Accepted, Ended, FromHost, Hello, HostJob, Lines

OWN, FOREIGN = 1, 2
TAG = "python-1"


@dataclass(kw_only=True)
class _Board:
    jobs: dict[int, Job]
    told: list[tuple[int, JobEvent]] = field(default_factory=list)

    def get(self, job_id: int) -> Job | None:
        return self.jobs.get(job_id)

    def tell(self, job_id: int, event: JobEvent) -> None:
        self.told.append((job_id, event))


def _job(job_id: int, user: str) -> Job:
    request = JobRequest(
        submitter=user, run_as=user, creator="IDE", engine="python", run_type="python", code="1"
    )
    return Job(id=job_id, request=request, state=JobState.SCHEDULED, created_at_ms=0, updated_at_ms=0)


@pytest.fixture
def board() -> _Board:
    return _Board(jobs={OWN: _job(OWN, "alice"), FOREIGN: _job(FOREIGN, "bob")})


@pytest.fixture
def faults() -> list[str]:
    return []


@pytest.fixture
def reports(board: _Board, faults: list[str]) -> Reports:
    observers = Observers()
    observers.listen(lambda seen: faults.append(seen.text) if isinstance(seen, Fault) else None)
    fleet = Fleet(cast("Store", None), SystemClock(), observers)
    queue = board.jobs[OWN].queue
    fleet.reserve(
        EngineInstance(tag=TAG, queue=queue, token_hash="", created_at_ms=0, updated_at_ms=0, node="here")
    )
    nothing = cast("Any", None)
    return Reports(
        store=nothing, board=cast("Any", board), fleet=fleet, links=nothing, logs=nothing, observers=observers
    )


@pytest.mark.parametrize(
    "message",
    [
        Accepted(job=FOREIGN),
        Lines(job=FOREIGN, first=1, lines=["forged"]),
        Ended(job=FOREIGN, outcome="succeed", code=0, text=""),
    ],
    ids=lambda message: type(message).__name__,
)
def test_nothing_is_heard_about_the_jobs_of_others(
    reports: Reports, board: _Board, faults: list[str], message: FromHost
) -> None:
    reports.hear(TAG, message)
    assert board.told == []
    assert faults == [f"Engine {TAG} spoke for job {FOREIGN}, which is not its own."]


def test_its_own_job_is_heard(reports: Reports, board: _Board, faults: list[str]) -> None:
    reports.hear(TAG, Ended(job=OWN, outcome="failed", code=1, text="no"))
    assert (OWN, JobEnded(outcome=JobState.FAILED, code=1, text="no")) in board.told
    assert faults == []


def test_a_hello_claims_no_job_of_others(reports: Reports, board: _Board) -> None:
    held = HostJob(job=FOREIGN, first_line=1, has_ended=False)
    hello = Hello(
        version=LINK_VERSION, tag=TAG, token="", pid=1, engine="python", phase="opening", jobs=[held]
    )
    assert reports.greet(TAG, hello).forget == [FOREIGN]
    assert board.told == []
