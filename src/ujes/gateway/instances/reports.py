"""What engine hosts say, turned into changes of jobs, instances and logs; and what they are told.

Every message may come again after a broken link; none of them changes anything the second time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from ujes.core.errors import StorageFull
from ujes.core.instance import Broke, InstanceTarget, Released, Taken
from ujes.core.instance import Opened as InstanceOpened
from ujes.core.job import Ended as JobEnded
from ujes.core.job import Job, JobState, Outcome, Progressed, Started
from ujes.gateway.instances.fleet import Fleet
from ujes.gateway.instances.links import Links
from ujes.gateway.jobs.board import Board
from ujes.gateway.jobs.entrance import log_lost
from ujes.gateway.jobs.logs import Logs
from ujes.gateway.observe import Fault, Observers
from ujes.gateway.signals import reach
from ujes.gateway.store.records import ResultSet
from ujes.gateway.store.store import Store
from ujes.link.messages import (
    LINK_VERSION,
    Accepted,
    Ack,
    Ended,
    Forget,
    FromHost,
    Hello,
    HostJob,
    Interrupt,
    Kept,
    Leaving,
    Lines,
    Opened,
    OpenFailed,
    Progress,
    Result,
    Welcome,
)

_OUTCOMES: dict[str, Outcome] = {
    "succeed": JobState.SUCCEED,
    "failed": JobState.FAILED,
    "cancelled": JobState.CANCELLED,
}

#: Result sets of one job that wait to be put on record.
RESULTS_HELD_MAX = 256


class Reports:
    """The gateway's ear."""

    def __init__(
        self, *, store: Store, board: Board, fleet: Fleet, links: Links, logs: Logs, observers: Observers
    ) -> None:
        self._store = store
        self._board = board
        self._fleet = fleet
        self._links = links
        self._logs = logs
        self._observers = observers
        self._doomed: dict[int, JobEnded] = {}
        self._results: dict[int, list[ResultSet]] = {}
        self._strays: dict[str, list[int]] = {}
        #: an instance could not open its engine, told with the job that waits for it
        self.open_failed: Callable[[int, int, str], None] = lambda _job, _code, _text: None

    # --- hello ----------------------------------------------------------------------------------

    def greet(self, tag: str, hello: Hello) -> Welcome:
        """Take in what the host runs and say what is known of it already."""
        reach("host.hello")
        if hello.phase == "open":
            self._fleet.tell(tag, InstanceOpened())
        kept, forget = [], []
        for held in hello.jobs:
            job = self._board.get(held.job)
            if job is not None and job.instance in (None, tag) and self.may_run(tag, job):
                kept.append(self._adopt(tag, job, held))
            elif held.has_ended or job is not None:
                forget.append(held.job)
            else:
                self._strays.setdefault(tag, []).append(held.job)
        self._fleet.heard(tag)
        self._settle(tag, {held.job for held in hello.jobs})
        return Welcome(version=LINK_VERSION, kept=kept, forget=forget)

    def greeted(self, tag: str) -> None:
        """End what the host runs of jobs that are over, such as one killed before the host dialled in."""
        for job_id in self._strays.pop(tag, ()):
            self._links.send(tag, Interrupt(job=job_id))

    def _adopt(self, tag: str, job: Job, held: HostJob) -> Kept:
        self._fleet.tell(tag, Taken(job_id=job.id))
        self._board.tell(job.id, Started(instance=tag))
        return Kept(job=job.id, next_line=max(self._logs.next_line(job), held.first_line))

    def _settle(self, tag: str, held: set[int]) -> None:
        """What the record says of this instance and the host does not know."""
        instance = self._fleet.get(tag)
        if instance is None or instance.job_id is None or instance.job_id in held:
            return
        job = self._board.get(instance.job_id)
        if job is None:
            self._fleet.tell(tag, Released())
        elif job.state is JobState.RUNNING:
            text = "The engine no longer knows the job; whether it ran to its end is not known."
            self._board.tell(job.id, JobEnded(outcome=JobState.FAILED, code=12003, text=text))

    # --- everything else ------------------------------------------------------------------------

    def hear(self, tag: str, message: FromHost) -> None:
        job = self._board.get(getattr(message, "job", 0))
        if job is not None and not self.may_run(tag, job):
            self._observers.tell(Fault(text=f"Engine {tag} spoke for job {job.id}, which is not its own."))
            return
        match message:
            case Lines():
                self._lines(tag, message)
            case Progress():
                self._board.tell(message.job, Progressed(value=message.value))
                self._board.show_stages(message.job, message.stages)
            case Accepted():
                self._board.tell(message.job, Started(instance=tag))
                reach("job.started")
            case Result():
                self._result(message)
            case Ended():
                self._ended(tag, message)
            case Opened():
                self._fleet.tell(tag, InstanceOpened())
                reach("instance.opened")
            case OpenFailed():
                self._open_failed(tag, message)
            case Leaving():
                self._leaving(tag, message)
            case Hello():
                self._observers.tell(Fault(text=f"Engine {tag} said hello twice on one link."))
            case _:
                assert_never(message)

    def may_run(self, tag: str, job: Job) -> bool:
        """Code of a user can reach its engine's link, and must not speak there for the jobs of others."""
        instance = self._fleet.record(tag)
        return instance is None or instance.queue == job.queue

    def _lines(self, tag: str, message: Lines) -> None:
        job = self._board.get(message.job)
        next_line = message.first + len(message.lines)
        if job is not None and message.job not in self._doomed:
            try:
                next_line = self._logs.keep(job, message.first, message.lines)
            except OSError as error:
                self._doom(tag, job, error)
        reach("lines.kept")
        self._links.send(tag, Ack(job=message.job, next_line=next_line))

    def _doom(self, tag: str, job: Job, error: OSError) -> None:
        """A job whose log cannot be kept has to end, with that as its reason."""
        text = log_lost(error)
        self._doomed[job.id] = JobEnded(outcome=JobState.FAILED, code=StorageFull.code, text=text)
        self._observers.tell(Fault(text=f"The log of job {job.id} cannot be written: {error}."))
        self._links.send(tag, Interrupt(job=job.id))

    def _result(self, message: Result) -> None:
        """Keep it for the record of the job, which is written behind the job's end: nobody waits for it."""
        held = self._results.setdefault(message.job, [])
        held.append(
            ResultSet(
                job_id=message.job,
                index=message.index,
                path=message.path,
                kind=message.kind,
                rows=message.rows,
                columns=message.columns,
                size_bytes=message.size_bytes,
            )
        )
        if len(held) >= RESULTS_HELD_MAX:
            self._store_results(message.job)

    def _store_results(self, job_id: int) -> None:
        for result in self._results.pop(job_id, ()):
            self._store.add_result_soon(result)

    def _ended(self, tag: str, message: Ended) -> None:
        reach("job.ended")
        job = self._board.get(message.job)
        if job is None:
            self._links.send(tag, Forget(job=message.job))
            return
        ended = JobEnded(outcome=_OUTCOMES[message.outcome], code=message.code, text=message.text)
        self._board.tell(job.id, Started(instance=tag))
        self._board.tell(job.id, self._doomed.pop(job.id, ended))

    def _leaving(self, tag: str, message: Leaving) -> None:
        instance = self._fleet.get(tag)
        if instance is not None and instance.target is InstanceTarget.READY:
            self._observers.tell(Fault(text=f"Engine {tag} leaves by itself: {message.reason}."))

    def _open_failed(self, tag: str, message: OpenFailed) -> None:
        instance = self._fleet.get(tag)
        self._fleet.tell(tag, Broke(reason=message.text))
        if instance is not None and instance.wanted_by is not None:
            self.open_failed(instance.wanted_by, message.code, message.text)

    # --- the end of a job -----------------------------------------------------------------------

    def release(self, job: Job) -> None:
        """The job's end is durable: its host may forget it, its instance is free."""
        reach("end.stored")
        self._doomed.pop(job.id, None)
        self._store_results(job.id)
        if job.instance is not None:
            self._links.send(job.instance, Forget(job=job.id))
            self._fleet.tell(job.instance, Released())
