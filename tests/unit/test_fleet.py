"""The live instances: what is told of one reaches the store in order, and spares that fail rest."""

from __future__ import annotations

from pathlib import Path

from ujes.core.instance import Broke, EngineInstance, InstanceTarget, Launching, StopRequested
from ujes.core.job import QueueKey
from ujes.gateway.instances.fleet import SPARE_RETRY_MS, Fleet
from ujes.gateway.observe import Observers
from ujes.gateway.store.store import Store
from ujes.testing.clock import ManualClock

QUEUE = QueueKey(run_as="alice", creator="IDE", engine="scripted")


def instance(tag: str, wanted_by: int | None = None) -> EngineInstance:
    return EngineInstance(
        tag=tag, queue=QUEUE, token_hash="0" * 64, wanted_by=wanted_by, created_at_ms=1, updated_at_ms=1
    )


async def test_a_kill_before_the_record_is_stored_is_stored_with_it(tmp_path: Path) -> None:
    failures: list[BaseException] = []
    store = await Store.open(f"sqlite:///{tmp_path / 'ujes.db'}", on_failure=failures.append)
    fleet = Fleet(store, ManualClock(), Observers())
    wanted = instance("scripted-1", wanted_by=7)
    fleet.reserve(wanted)
    fleet.tell("scripted-1", StopRequested(reason="its job was killed"))
    await fleet.store(wanted)
    await fleet.tell_durably("scripted-1", Launching(handle="{}"))
    stored = await store.instance("scripted-1")
    await store.close()
    assert stored is not None
    assert (stored.target, stored.handle) == (InstanceTarget.STOPPED, "{}")
    assert failures == []


async def test_the_queue_of_a_spare_that_did_not_start_rests(tmp_path: Path) -> None:
    clock = ManualClock()
    store = await Store.open(f"sqlite:///{tmp_path / 'ujes.db'}")
    fleet = Fleet(store, clock, Observers())
    for tag, wanted_by in (("scripted-1", 7), ("scripted-2", None)):
        assert fleet.resting() == frozenset()
        fleet.reserve(instance(tag, wanted_by))
        await fleet.store(instance(tag, wanted_by))
        fleet.tell(tag, Broke(reason="it did not open"))
    assert fleet.resting() == {QUEUE}
    await clock.advance(SPARE_RETRY_MS / 1000)
    assert fleet.resting() == frozenset()
    await store.close()
