"""A thread that looks at the running job's progress, at most four times a second, and tells what changed."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ujes.link.messages import Progress, Stage

if TYPE_CHECKING:
    from ujes.enginehost.outbox import Outbox
    from ujes.engines.engine import Engine

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class _Watched:
    job: int
    #: which statement runs, of how many
    index: int
    total: int


class Watcher:
    """Use as a context manager around all jobs; `watch` each statement, `rest` after each job."""

    def __init__(self, engine: Engine, outbox: Outbox) -> None:
        self._engine = engine
        self._outbox = outbox
        self._watched: _Watched | None = None
        self._begun = threading.Event()
        self._stopped = threading.Event()
        self._told: Progress | None = None
        self._thread = threading.Thread(target=self._live, name="progress", daemon=True)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """An engine that hangs in `progress` must not keep the host: the thread is not waited for."""
        self._stopped.set()
        self._begun.set()

    def watch(self, job: int, index: int, total: int) -> None:
        self._watched = _Watched(job=job, index=index, total=total)
        self._begun.set()

    def rest(self) -> None:
        self._watched = None
        self._begun.clear()

    def _live(self) -> None:
        while self._begun.wait() and not self._stopped.wait(LOOK_EVERY_S):
            if (watched := self._watched) is not None:
                self._look(watched)

    def _look(self, watched: _Watched) -> None:
        try:
            progress = self._progress(watched)
        except Exception:  # the job goes on without it
            log.exception("the engine could not tell its progress")
            return
        if progress != self._told:
            self._told = progress
            self._outbox.add_progress(progress)

    def _progress(self, watched: _Watched) -> Progress:
        inner = min(max(self._engine.progress() or 0.0, 0.0), 1.0)
        stages = [
            Stage(
                id=each.id,
                total=each.total,
                running=each.running,
                failed=each.failed,
                succeeded=each.succeeded,
            )
            for each in self._engine.stages()
        ]
        return Progress(job=watched.job, value=(watched.index + inner) / watched.total, stages=stages)
