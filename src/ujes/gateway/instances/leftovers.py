"""What an engine process leaves behind in its work folder, and what it tells about the job it had.

`running` holds the number of the job the host took: a job that was begun is never begun again without a word,
even when its process and the gateway ended together. `outbox` holds the frames a host could not deliver
before it had to leave; they are heard as if they came over the link.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

from ujes.core.job import Started
from ujes.gateway.jobs.board import Board
from ujes.gateway.observe import Fault, Observers
from ujes.link.codec import BrokenFrame, Decoder
from ujes.link.messages import FromHost, Hello


class Leftovers:
    """Reads and removes the work folders of instances whose process is over."""

    def __init__(self, board: Board, observers: Observers, work_dir: Callable[[str], Path]) -> None:
        self._board = board
        self._observers = observers
        self._work_dir = work_dir
        #: takes a message of an instance, as over the link
        self.hear: Callable[[str, FromHost], None] = lambda _tag, _message: None

    def take_in(self, tag: str) -> None:
        """Hear what the instance could not say. Doing so twice changes nothing."""
        job_id = self._begun(tag)
        if job_id is not None:
            job = self._board.get(job_id)
            if job is not None and job.instance in (None, tag):
                self._board.tell(job_id, Started(instance=tag))
        self._outbox(tag)

    def _begun(self, tag: str) -> int | None:
        try:
            return int((self._work_dir(tag) / "running").read_text())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            self._observers.tell(Fault(text=f"What engine {tag} ran cannot be read: {error}."))
            return None

    def _outbox(self, tag: str) -> None:
        file = self._work_dir(tag) / "outbox"
        if not file.is_file():
            return
        decoder: Decoder[FromHost] = Decoder(FromHost)
        try:
            for message in decoder.feed(file.read_bytes()):
                if not isinstance(message, Hello):
                    self.hear(tag, message)
        except (OSError, BrokenFrame) as error:
            self._observers.tell(Fault(text=f"The last words of engine {tag} cannot be read: {error}."))

    async def sweep(self, tag: str) -> None:
        """Remove the work folder."""
        await asyncio.to_thread(shutil.rmtree, self._work_dir(tag), ignore_errors=True)
