"""The one door for jobs: submit, cancel, and asking after them.

A submit is checked first and stored once: accepted, or Failed with the reason. It is acknowledged when the
row is durable. What a job's log says before its run is written here, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from ujes.core.errors import EmptyCode, NotFound, QueueFull, StorageFull, UjesError
from ujes.core.job import CancelRequested, Job, JobRequest, JobState, QueueKey, Refused
from ujes.core.limits import Limits
from ujes.engines.registry import EngineRegistry
from ujes.gateway.clock import Clock
from ujes.gateway.jobs.board import Board
from ujes.gateway.jobs.history import History
from ujes.gateway.jobs.logs import Level, Logs, entry
from ujes.gateway.observe import Fault, JobAccepted, Observers
from ujes.gateway.signals import reach
from ujes.gateway.store.records import NewJob
from ujes.gateway.store.store import Store
from ujes.language.variables import substitute
from ujes.link.messages import Stage

#: How much of the code the log repeats.
ECHO_CHARS_MAX = 10_000
_BANNER = "*" * 36 + "SCRIPT CODE" + "*" * 36


class Entrance:
    """Where jobs are accepted, cancelled and asked after."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        board: Board,
        history: History,
        logs: Logs,
        registry: EngineRegistry,
        limits: Limits,
        observers: Observers,
        node: str,
    ) -> None:
        self._store = store
        self._clock = clock
        self._board = board
        self._history = history
        self._logs = logs
        self._registry = registry
        self._limits = limits
        self._observers = observers
        self._node = node
        self._arriving: Counter[QueueKey] = Counter()
        self._is_closed = False
        #: called when a job joined its line; says what it waits for, if it is not the first
        self.arrived: Callable[[Job], str] = lambda _job: ""
        #: called when a kill was recorded
        self.cancelled: Callable[[Job], None] = lambda _job: None
        #: why a job in line is not running, as a sentence
        self.why: Callable[[Job], str] = lambda _job: ""

    def close(self) -> None:
        """Accept nothing from now on."""
        self._is_closed = True

    # --- submit ---------------------------------------------------------------------------------

    async def submit(self, request: JobRequest) -> Job:
        """Accept a job: durable, in line, and with the first lines of its log.

        Raises the reason of a refusal after the Failed row is stored; `StorageFull` when nothing could be.
        """
        if self._is_closed:
            raise QueueFull("This gateway is stopping and takes no more jobs; try again when it is back.")
        self._arriving[request.queue] += 1
        try:
            return await self._accept(request)
        finally:
            self._arriving[request.queue] -= 1
            if not self._arriving[request.queue]:
                del self._arriving[request.queue]

    async def _accept(self, request: JobRequest) -> Job:
        run_code, refusal = self._check(request)
        job = await self._store.add_job(
            NewJob(
                request=request,
                now_ms=self._clock.now_ms(),
                node=self._node,
                run_code=run_code if run_code != request.code else None,
                refusal=Refused(code=refusal.error_code, text=refusal.message) if refusal else None,
            )
        )
        reach("submit.stored")
        self._observers.tell(JobAccepted(job=job))
        if refusal is not None:
            self._history.remember(job)
            raise refusal
        self._board.add(job)
        self.begin_log(job, self.arrived(job))
        return job

    def _check(self, request: JobRequest) -> tuple[str, UjesError | None]:
        """The code to run, and why the job is refused, if it is."""
        code = request.code
        try:
            self._registry.resolve(request.engine, request.run_type)
            code = substitute(request.code, request.run_type, request.variables)
            if not code.strip():
                raise EmptyCode("The code is empty after its variables were put in.", code=30010)
            self._check_room(request.queue)
        except UjesError as refusal:
            return code, refusal
        return code, None

    def _check_room(self, queue: QueueKey) -> None:
        waiting = self._board.waiting_count(queue) + self._arriving[queue] - 1
        if waiting >= self._limits.queued_per_queue:
            raise QueueFull(
                "The submission job failed and the queue is full! "
                f"{waiting} jobs wait in {queue}, as many as may; try again when some have run."
            )

    def begin_log(self, job: Job, waits: str = "") -> None:
        """The first lines of a job's log, and what it waits for, if that is known."""
        at_ms = job.created_at_ms
        accepted = f"Job {job.queue}_{job.id} is accepted, task id {job.id}."
        banner = entry(_BANNER, "INFO", at_ms)
        lines = entry(f"{accepted} Please wait for it to be scheduled", "INFO", at_ms)
        lines += [*banner, *job.code_to_run[:ECHO_CHARS_MAX].splitlines(), *banner]
        if waits:
            lines += entry(waits, "INFO", at_ms)
        self._written(job, self._logs.begin, lines)

    # --- log ------------------------------------------------------------------------------------

    def note(self, job: Job, text: str, level: Level = "INFO") -> None:
        """Write to the log of a job in line or just ended; not while it runs."""
        self._written(job, self._logs.append, entry(text, level, self._clock.now_ms()))

    def _written(self, job: Job, write: Callable[[Job, list[str]], None], lines: list[str]) -> None:
        try:
            write(job, lines)
        except OSError as error:
            self._observers.tell(Fault(text=f"The log of job {job.id} cannot be written: {error}."))
            self._board.tell(job.id, Refused(code=StorageFull.code, text=log_lost(error)))

    def settle_log(self, job: Job) -> None:
        """Make the file of a job's log whole, for those who read the file itself. Raises `StorageFull`."""
        try:
            self._logs.settle(job)
        except OSError as error:
            raise StorageFull(log_lost(error)) from None

    # --- cancel ---------------------------------------------------------------------------------

    async def cancel(self, job_id: int, *, by: str, reason: str) -> Job:
        """Record that a job is to end; it is Cancelled once nothing of it runs any more.

        A job that is over stays as it is. Raises `NotFound`.
        """
        job = await self._board.tell_durably(job_id, CancelRequested(by=by, reason=reason))
        reach("cancel.stored")
        if job is not None:
            self.cancelled(job)
        else:
            job = await self._history.job(job_id)
        if job is None:
            raise NotFound(f"There is no job {job_id}.")
        return job

    # --- asking ---------------------------------------------------------------------------------

    def live(self, job_id: int) -> Job | None:
        """An unfinished job, from memory."""
        return self._board.get(job_id)

    def at_hand(self, job_id: int) -> Job | None:
        """A job that is in memory, unfinished or lately ended."""
        return self._board.get(job_id) or self._history.remembered(job_id)

    async def job(self, job_id: int) -> Job | None:
        """Any job there ever was."""
        return self._board.get(job_id) or await self._history.job(job_id)

    def stages(self, job_id: int) -> tuple[Stage, ...]:
        """Parts of the running statement that count their own tasks."""
        return self._board.stages(job_id)

    def why_waiting(self, job_id: int) -> str | None:
        """Why a job in line is not running, as a sentence."""
        job = self._board.get(job_id)
        return self.why(job) if job is not None and job.is_waiting else None


def closing_lines(job: Job, at_ms: int) -> list[str]:
    """The end of a job's log: why it failed, how long each part took, and how it ended."""
    lines: list[str] = []
    if job.error and job.state is not JobState.SUCCEED:
        lines += entry(job.error, "WARN" if job.state is JobState.CANCELLED else "ERROR", at_ms)
    waited_ms = (job.running_at_ms or job.ended_at_ms or at_ms) - job.created_at_ms
    lines += entry(f"Job {job.id} waited {waited_ms / 1000:.3f} s.", "INFO", at_ms)
    if job.running_at_ms is not None:
        ran_ms = (job.ended_at_ms or at_ms) - job.running_at_ms
        lines += entry(f"Job {job.id} ran {ran_ms / 1000:.3f} s.", "INFO", at_ms)
    if job.state is JobState.SUCCEED:
        return lines + entry(f"{_SUCCEEDED} Job {job.id} completed with status Succeed.", "INFO", at_ms)
    return lines + entry(
        f"{_SORRY} Your job completed with a status {job.state.value}. You can view logs for the reason.",
        "INFO",
        at_ms,
    )


_SUCCEEDED = "Congratulations."
_SORRY = "Sorry."


def is_closing_line(line: str) -> bool:
    """Whether a log already has its end; a crash between log and store would otherwise write it twice."""
    text = line[24:]
    return text.startswith((f"INFO {_SUCCEEDED} Job ", f"INFO {_SORRY} Your job completed"))


def log_lost(error: OSError) -> str:
    return f"The job's log could not be written: {error.strerror or error}. Free space and submit again."
