"""Carries out the plan: level-triggered, on the event loop, once for any number of wake-ups."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from ujes.core.instance import StopRequested, Taken
from ujes.core.job import Job, Placed, QueueKey
from ujes.core.labels import is_once
from ujes.core.limits import Limits
from ujes.core.plan import (
    Evict,
    Launch,
    QueueView,
    Snapshot,
    Start,
    Waiting,
    plan,
    waiting_for,
)
from ujes.gateway.instances.fleet import Fleet
from ujes.gateway.jobs.board import Board


class Scheduler:
    """Decides which job starts next, and on what."""

    def __init__(
        self,
        *,
        board: Board,
        fleet: Fleet,
        limits: Limits,
        spares: Mapping[QueueKey, int],
    ) -> None:
        self._board = board
        self._fleet = fleet
        self._limits = limits
        self._spares = spares
        self._is_due = False
        self._is_open = False
        self._turns = 0
        self._served_at: dict[QueueKey, int] = {}
        self._told: dict[int, str] = {}
        #: sends the run message of a job that was just placed
        self.run: Callable[[Job], None] = lambda _job: None
        #: starts an instance
        self.launch: Callable[[Launch], None] = lambda _launch: None
        #: writes to the log of a job in line
        self.note: Callable[[Job, str], None] = lambda _job, _text: None

    def open(self) -> None:
        """Begin to plan; before, wake-ups are only remembered."""
        self._is_open = True
        self.wake()

    def close(self) -> None:
        """Start nothing from now on."""
        self._is_open = False

    def wake(self) -> None:
        """Plan soon. Any number of calls before that make one plan."""
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._step)

    def why(self, job: Job) -> str:
        """Why a job in line is not running, as a sentence."""
        return waiting_for(self._snapshot(with_fronts=False), job.queue, self._board.ahead_of(job))

    def _step(self) -> None:
        self._is_due = False
        if not self._is_open:
            return
        snapshot = self._snapshot()
        for decision in plan(snapshot):
            match decision:
                case Start():
                    self._start(decision)
                case Launch():
                    self.launch(decision)
                case Evict():
                    reason = "its place was needed for another queue"
                    self._fleet.tell(decision.tag, StopRequested(reason=reason))
        self._say_why()

    def _snapshot(self, *, with_fronts: bool = True) -> Snapshot:
        queues = [self._view(key) for key in self._board.queues()] if with_fronts else []
        resting = self._fleet.resting()
        return Snapshot(
            queues=tuple(queues),
            instances=tuple(self._fleet.live()),
            linked=self._fleet.linked,
            running=self._board.running,
            recovering=self._fleet.recovering(),
            spares={key: count for key, count in self._spares.items() if key not in resting},
            limits=self._limits,
        )

    def _view(self, key: QueueKey) -> QueueView:
        free = self._limits.running_in(key) - self._board.running[key]
        front = [job for job in self._board.front(key, max(free, 1)) if not self._board.is_ending(job.id)]
        waiting = tuple(Waiting(job_id=job.id, is_once=is_once(job.request.labels)) for job in front)
        return QueueView(key=key, front=waiting, served_at=self._served_at.get(key, 0))

    def _start(self, start: Start) -> None:
        instance = self._fleet.get(start.tag)
        job = self._board.get(start.job_id)
        if instance is None or job is None or self._board.is_ending(job.id):
            return
        self._turns += 1
        self._served_at[job.queue] = self._turns
        self._told.pop(job.id, None)
        is_reuse = instance.jobs_done > 0
        self._fleet.tell(start.tag, Taken(job_id=job.id))
        placed = self._board.tell(job.id, Placed(instance=start.tag, is_reuse=is_reuse))
        if placed is not None:
            self.run(placed)

    def _say_why(self) -> None:
        """Tell the log of each job at the front of its line what it waits for, when that is news.

        Nothing is written to a log while an engine of the previous run may be the one that writes it.
        """
        snapshot = self._snapshot(with_fronts=False)
        told = [key for key in self._board.queues() if key not in snapshot.recovering]
        fronts = [job for key in told for job in self._board.front(key, 1)]
        if not fronts:
            self._told.clear()
            return
        for job in fronts:
            reason = waiting_for(snapshot, job.queue, 0)
            if self._told.get(job.id) != reason and not self._board.is_ending(job.id):
                self._told[job.id] = reason
                self.note(job, reason)

    def arrived(self, job: Job) -> str:
        """A job joined its line, at the end of it: plan soon, and say how many are before it, if any."""
        self.wake()
        ahead = self._board.waiting_count(job.queue) - 1
        return waiting_for(self._snapshot(with_fronts=False), job.queue, ahead) if ahead else ""
