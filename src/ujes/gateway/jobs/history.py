"""Reading ended jobs: the newest from memory, all from the store."""

from __future__ import annotations

from collections import OrderedDict

from ujes.core.job import Job
from ujes.gateway.store.records import JobPage, JobQuery
from ujes.gateway.store.store import Store

#: Ended jobs kept in memory, for clients that still ask after them.
REMEMBERED_MAX = 4096


class History:
    """Jobs that are over."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._remembered: OrderedDict[int, Job] = OrderedDict()

    def remember(self, job: Job) -> None:
        """Take in a job whose end is durable."""
        self._remembered[job.id] = job
        self._remembered.move_to_end(job.id)
        while len(self._remembered) > REMEMBERED_MAX:
            self._remembered.popitem(last=False)

    def remembered(self, job_id: int) -> Job | None:
        return self._remembered.get(job_id)

    async def job(self, job_id: int) -> Job | None:
        known = self._remembered.get(job_id)
        if known is not None:
            return known
        job = await self._store.job(job_id)
        if job is not None and job.state.is_final:
            self.remember(job)
        return job

    async def page(self, query: JobQuery) -> JobPage:
        return await self._store.jobs(query)
