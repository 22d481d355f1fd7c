"""What a starting gateway does with the records of the one before: nothing accepted is lost.

Jobs first, so that whatever an engine says finds its job; then the instances. One whose process is over is
heard out from its work folder; one that lives dials in by itself, and until it has said what it runs, no job
of its queue is started (`Fleet.recovering`), since it may be running that very job.
"""

from __future__ import annotations

import asyncio

from ujes.core.instance import EngineInstance
from ujes.gateway.instances.fleet import Fleet
from ujes.gateway.instances.leftovers import Leftovers
from ujes.gateway.jobs.board import Board
from ujes.gateway.jobs.entrance import Entrance
from ujes.gateway.jobs.logs import Logs
from ujes.gateway.store.store import Store
from ujes.launchers.launcher import Launcher


async def recover_jobs(store: Store, board: Board, entrance: Entrance, logs: Logs) -> int:
    """Put every unfinished job back where it was; returns how many there are."""
    jobs = await store.unfinished_jobs()
    for job in jobs:
        board.add(job)
        if logs.next_line(job) == 1:
            # The gateway ended between the row and the first line.
            entrance.begin_log(job)
    return len(jobs)


async def recover_instances(store: Store, fleet: Fleet, launcher: Launcher, leftovers: Leftovers) -> int:
    """Take up every instance that is not over; returns how many there are."""
    instances = await store.live_instances()
    for instance in instances:
        fleet.adopt(instance)
    await asyncio.gather(*(_look_after(one, fleet, launcher, leftovers) for one in instances))
    return len(instances)


async def _look_after(
    instance: EngineInstance, fleet: Fleet, launcher: Launcher, leftovers: Leftovers
) -> None:
    handle = instance.handle or await launcher.find(instance.tag)
    how = "it was never started" if handle is None else await launcher.check(instance.tag, handle)
    if how is not None:
        leftovers.take_in(instance.tag)
        fleet.ended(instance.tag, how)
