"""The live jobs, in memory: every change of an unfinished job goes through here.

`tell(job_id, event)` is the one door. It applies `core.job.transition`, hands the change to the store and
tells the observers. A change that ends a job takes a longer way: the end is written to the log, made durable,
and only then seen by anybody; from the moment it began, nothing else can happen to the job.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice

from ujes.core.errors import StorageFull
from ujes.core.job import Job, JobEvent, Progressed, QueueKey, transition
from ujes.gateway.clock import Clock
from ujes.gateway.jobs.history import History
from ujes.gateway.observe import Fault, JobChanged, Observers
from ujes.gateway.store.records import Entry
from ujes.gateway.store.store import Store
from ujes.link.messages import Stage

#: Between two tries to store an end while the disk is full.
RETRY_FIRST_S = 0.1
RETRY_MOST_S = 5.0


class Board:
    """Unfinished jobs, their queues, and how many of each run."""

    def __init__(self, store: Store, clock: Clock, history: History, observers: Observers) -> None:
        self._store = store
        self._clock = clock
        self._history = history
        self._observers = observers
        self._jobs: dict[int, Job] = {}
        self._lines: dict[QueueKey, OrderedDict[int, None]] = {}
        self._placed: Counter[QueueKey] = Counter()
        self._stages: dict[int, tuple[Stage, ...]] = {}
        self._ending: dict[int, asyncio.Task[None]] = {}
        #: what has to happen before an end is stored, such as the log's closing lines
        self.before_end: Callable[[Job], None] = lambda _job: None
        #: what follows once an end is durable
        self.after_end: Callable[[Job], None] = lambda _job: None
        #: the parts of a running statement moved on
        self.staged: Callable[[Job], None] = lambda _job: None

    # --- reading --------------------------------------------------------------------------------

    def get(self, job_id: int) -> Job | None:
        return self._jobs.get(job_id)

    def jobs(self) -> Iterable[Job]:
        return self._jobs.values()

    def is_ending(self, job_id: int) -> bool:
        return job_id in self._ending

    def stages(self, job_id: int) -> tuple[Stage, ...]:
        return self._stages.get(job_id, ())

    @property
    def running(self) -> Counter[QueueKey]:
        return self._placed

    def queues(self) -> Iterator[QueueKey]:
        """Queues that have jobs in line."""
        return iter(self._lines)

    def waiting_count(self, queue: QueueKey) -> int:
        return len(self._lines.get(queue, ()))

    def front(self, queue: QueueKey, count: int) -> list[Job]:
        """The first jobs in line."""
        return [self._jobs[job_id] for job_id in islice(self._lines.get(queue, ()), count)]

    def ahead_of(self, job: Job) -> int:
        """How many jobs of its queue are before it."""
        for place, job_id in enumerate(self._lines.get(job.queue, ())):
            if job_id == job.id:
                return place
        return 0

    # --- changing -------------------------------------------------------------------------------

    def add(self, job: Job) -> None:
        """Take up a stored, unfinished job."""
        self._jobs[job.id] = job
        self._enter(job)

    def tell(self, job_id: int, event: JobEvent) -> Job | None:
        """Let `event` happen. Returns the job as it is seen now, None when it is not live."""
        return self._change(job_id, event)[1]

    async def tell_durably(self, job_id: int, event: JobEvent) -> Job | None:
        """The same, and wait until the change is stored; an end may still be on its way."""
        before, after, entry = self._change(job_id, event, is_awaited=True)
        if before is not None and after is not None and entry is not None:
            await self._store.save_job(before, after, [entry])
        return after

    def show_stages(self, job_id: int, stages: Iterable[Stage]) -> None:
        job, shown = self._jobs.get(job_id), tuple(stages)
        if job is not None and shown != self.stages(job_id):
            self._stages[job_id] = shown
            self.staged(job)

    def _change(
        self, job_id: int, event: JobEvent, *, is_awaited: bool = False
    ) -> tuple[Job | None, Job | None, Entry | None]:
        before = self._jobs.get(job_id)
        if before is None or job_id in self._ending:
            return None, before, None
        after = transition(before, event, self._clock.now_ms())
        if after is before:
            return None, before, None
        if after.state.is_final:
            self._end(before, after, event)
            return None, before, None
        self._replace(before, after)
        entry = _entry(after, event)
        if not isinstance(event, Progressed) and not is_awaited:
            self._store.save_job_soon(before, after, [entry])
        self._observers.tell(JobChanged(before=before, after=after, event=event))
        return before, after, entry

    def _replace(self, before: Job, after: Job) -> None:
        self._jobs[after.id] = after
        if before.is_waiting != after.is_waiting:
            self._leave(before)
            self._enter(after)

    def _enter(self, job: Job) -> None:
        if not job.is_waiting:
            self._placed[job.queue] += 1
            return
        line = self._lines.setdefault(job.queue, OrderedDict())
        is_last = not line or next(reversed(line)) < job.id
        line[job.id] = None
        if not is_last:
            self._lines[job.queue] = OrderedDict.fromkeys(sorted(line))

    def _leave(self, job: Job) -> None:
        if not job.is_waiting:
            self._placed[job.queue] -= 1
            if not self._placed[job.queue]:
                del self._placed[job.queue]
            return
        line = self._lines[job.queue]
        del line[job.id]
        if not line:
            del self._lines[job.queue]

    # --- ending ---------------------------------------------------------------------------------

    def _end(self, before: Job, after: Job, event: JobEvent) -> None:
        task = asyncio.get_running_loop().create_task(self._finish(before, after, event))
        self._ending[before.id] = task

    async def _finish(self, before: Job, after: Job, event: JobEvent) -> None:
        try:
            self.before_end(after)
        except OSError as error:
            self._observers.tell(Fault(text=f"The log of job {after.id} has no end: {error}."))
        await self._store_end(before, after, event)
        self._leave(self._jobs.pop(before.id))
        self._stages.pop(before.id, None)
        del self._ending[before.id]
        self._history.remember(after)
        self._observers.tell(JobChanged(before=before, after=after, event=event))
        self.after_end(after)

    async def _store_end(self, before: Job, after: Job, event: JobEvent) -> None:
        """Store an end, for as long as it takes: the job is not over before that."""
        delay_s = RETRY_FIRST_S
        while True:
            try:
                if await self._store.save_job(before, after, [_entry(after, event)]):
                    return
                stored = await self._store.job(after.id)
            except StorageFull as error:
                text = f"The end of job {after.id} waits to be stored: {error.message}"
                self._observers.tell(Fault(text=text))
                await self._clock.sleep(delay_s)
                delay_s = min(delay_s * 2, RETRY_MOST_S)
            else:
                if stored is None or stored.state.is_final:
                    return
                before, after = stored, replace(after, version=stored.version + 1)

    async def settle(self) -> None:
        """Wait until every end that began is durable."""
        while self._ending:
            await asyncio.gather(*self._ending.values(), return_exceptions=True)


def _entry(job: Job, event: JobEvent) -> Entry:
    text = " ".join(str(getattr(event, name)) for name in event.__slots__ if getattr(event, name) is not None)
    return Entry(
        subject="job",
        subject_id=str(job.id),
        at_ms=job.updated_at_ms,
        kind=type(event).__name__.lower(),
        text=text[:2000],
    )
