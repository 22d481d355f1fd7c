"""From the name of a job in a URL to the job, for a caller who may see it.

A foreign job, a job that never was and a name that does not fit its job get the same answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ujes.api.linkis import envelope, execid
from ujes.core.errors import NotFound
from ujes.gateway.auth.permission import may_see

if TYPE_CHECKING:
    from ujes.api.linkis.execid import ExecId
    from ujes.core.job import Job
    from ujes.gateway.auth.identity import Identity
    from ujes.gateway.gateway import Gateway


async def find_job(gateway: Gateway, identity: Identity, name: str, task_id: str = "") -> Job:
    """The job called `name`; else the one with the number `task_id`, which some clients send along.

    Raises `InvalidRequest` for what is no name, `NotFound` for the rest.
    """
    job = await _named(gateway, execid.parse(name))
    if job is None and task_id:
        job = await _named(gateway, execid.parse(task_id))
    if job is None or not may_see(identity, job):
        raise NotFound(f"There is no job {execid.shown(name)}, or it is not yours to see.")
    return job


async def _named(gateway: Gateway, name: ExecId) -> Job | None:
    job = gateway.entrance.at_hand(name.task_id) or await gateway.entrance.job(name.task_id)
    return job if job is not None and name.names(job) else None


def exec_id_shown(gateway: Gateway, job: Job, name: str) -> str:
    """The execID in an answer: as asked; for a bare number the 1.x form, or empty once the job is over."""
    if not name.isdigit():
        return name
    return "" if job.state.is_final else strong_exec_id(gateway, job)


def strong_exec_id(gateway: Gateway, job: Job) -> str:
    return execid.modern(job.queue, job.id, service=envelope.SERVICE, address=gateway.address)
