"""The scheduler's notes: none may come between the lines of an engine that has not reported yet."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from ujes.core.instance import EngineInstance, InstanceStatus
from ujes.core.job import Job, JobRequest
from ujes.core.limits import Limits
from ujes.gateway.instances.fleet import Fleet
from ujes.gateway.jobs.board import Board
from ujes.gateway.jobs.history import History
from ujes.gateway.jobs.scheduler import Scheduler
from ujes.gateway.observe import Observers
from ujes.gateway.store.store import Store
from ujes.testing.clock import ManualClock

REQUEST = JobRequest(submitter="a", run_as="a", creator="IDE", engine="python", run_type="python", code="1")
WAITING = Job(id=1, request=REQUEST, created_at_ms=1, updated_at_ms=1)
BUSY = EngineInstance(
    tag="python-1",
    queue=WAITING.queue,
    token_hash="0" * 64,
    status=InstanceStatus.BUSY,
    created_at_ms=1,
    updated_at_ms=1,
)


async def test_a_job_an_unheard_engine_may_run_gets_no_line(tmp_path: Path) -> None:
    store = await Store.open(f"sqlite:///{tmp_path / 'ujes.db'}")
    observers, clock = Observers(), ManualClock()
    board, fleet = Board(store, clock, History(store), observers), Fleet(store, clock, observers)
    scheduler = Scheduler(board=board, fleet=fleet, limits=Limits(instances=1), spares={})
    notes: list[str] = []
    scheduler.note = lambda job, text: notes.append(f"{job.id}: {text}")
    board.add(WAITING)
    fleet.adopt(BUSY)
    scheduler.open()
    await asyncio.sleep(0)
    assert notes == []
    fleet.heard(BUSY.tag)
    scheduler.wake()
    await asyncio.sleep(0)
    assert notes == ["1: Waiting: all engine places of this node are taken, 1 of 1."]
    await store.close()


async def test_a_reason_is_told_once_and_again_when_it_changes(tmp_path: Path) -> None:
    store = await Store.open(f"sqlite:///{tmp_path / 'ujes.db'}")
    observers, clock = Observers(), ManualClock()
    board, fleet = Board(store, clock, History(store), observers), Fleet(store, clock, observers)
    scheduler = Scheduler(board=board, fleet=fleet, limits=Limits(instances=1), spares={})
    notes: list[str] = []
    scheduler.note = lambda _job, text: notes.append(text)
    board.add(WAITING)
    fleet.reserve(replace(BUSY, queue=replace(WAITING.queue, run_as="b")))
    scheduler.open()
    for _ in range(3):
        scheduler.wake()
        await asyncio.sleep(0)
    assert len(notes) == 1
    fleet.reserve(replace(BUSY, tag="python-2", status=InstanceStatus.STARTING))
    scheduler.wake()
    await asyncio.sleep(0)
    assert notes[1:] == ["Waiting: python engine is starting."]
    await store.close()
