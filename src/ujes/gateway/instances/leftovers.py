"""What an engine process leaves behind in its work folder, and what it tells about the job it had.

`running` names the jobs the host took: a job that was begun is never begun again without a word, even when
its process and the gateway ended together. `outbox` holds the frames a host could not deliver before it had
to leave; they are heard as if they came over the link.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

from ujes.core.job import Job, Started
from ujes.enginehost.evidence import read_outbox, read_running
from ujes.gateway.jobs.board import Board
from ujes.gateway.observe import Fault, Observers
from ujes.link.messages import FromHost


class Leftovers:
    """Reads and removes the work folders of instances whose process is over."""

    def __init__(self, board: Board, observers: Observers, work_dir: Callable[[str], Path]) -> None:
        self._board = board
        self._observers = observers
        self._work_dir = work_dir
        #: takes a message of an instance, as over the link
        self.hear: Callable[[str, FromHost], None] = lambda _tag, _message: None
        #: whether the job can be one of the instance's
        self.may_run: Callable[[str, Job], bool] = lambda _tag, _job: True

    def take_in(self, tag: str) -> None:
        """Hear what the instance could not say. Doing so twice changes nothing."""
        folder = self._work_dir(tag)
        try:
            begun, frames = read_running(folder), read_outbox(folder)
        except OSError as error:
            self._observers.tell(Fault(text=f"What engine {tag} left behind cannot be read: {error}."))
            return
        for job_id in begun:
            job = self._board.get(job_id)
            if job is not None and job.instance in (None, tag) and self.may_run(tag, job):
                self._board.tell(job_id, Started(instance=tag))
        for frame in frames:
            self.hear(tag, frame)

    async def sweep(self, tag: str) -> None:
        """Remove the work folder."""
        await asyncio.to_thread(shutil.rmtree, self._work_dir(tag), ignore_errors=True)
