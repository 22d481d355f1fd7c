"""Who watches which job, and what of it each watcher has not been sent yet.

The hub moves no data. A watcher keeps for each job the number of the next log line and marks for what else
is news; whoever owns the watcher reads the same records that polling reads, whenever it can send. So a
reader may be as slow as it likes: what is kept for it grows with the number of its jobs, never with what
they say, and what it missed in between is merged by itself.

A job that is *bound* is watched by the one watcher it was started from; any other job by all watchers of
the user it runs as. When a watcher leaves, its jobs go on, from the line it had come to, to the user's other
watchers, and to the next one that comes: that is how a page continues after it lost its connection. A job
with nobody left to hear its end is kept for `KEEP_S`.

Everything happens on the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ujes.core.errors import PassingFault
from ujes.gateway.observe import JobAccepted, JobChanged

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ujes.core.job import Job
    from ujes.gateway.clock import Clock
    from ujes.gateway.observe import Observation

#: How often watchers hear their jobs' places in line; also how often old things are looked for.
TICK_S = 30.0
#: The end of a job nobody was there to hear is kept this long.
KEEP_S = 120.0
#: What watchers get to leave when the gateway closes.
CLOSE_S = 2.0
#: Jobs one watcher may have news of; one more ends it, for then it does not read at all.
JOBS_MAX = 10_000

End = Literal["closing", "idle", "behind"]


@dataclass(kw_only=True)
class News:
    """What of one job one watcher has not been sent."""

    #: number of the next log line; None until a line is written
    next_line: int | None
    #: how the job is called by whoever started it; the hub only keeps it
    name: object = None
    #: taken up from a watcher that had left: this is likely the same reader, come back
    is_heir: bool = False
    has_lines: bool = False
    has_progress: bool = False
    has_state: bool = False
    #: it is time to say the job's place in line
    has_place: bool = False

    @property
    def is_any(self) -> bool:
        return self.has_lines or self.has_progress or self.has_state or self.has_place


@dataclass(kw_only=True)
class Watched:
    """A job somebody watches, or watched and may come back to."""

    #: where the next watcher goes on
    next_line: int | None
    bound: Watcher | None = None
    name: object = None
    over_at_s: float | None = None


class Watcher:
    """One reader of news. Its owner waits for `woken`, takes what is `due`, and sends."""

    def __init__(self, user: str, now_s: float) -> None:
        self.user = user
        self.woken = asyncio.Event()
        #: set once by the hub: the owner has to leave
        self.ended: End | None = None
        #: whether the owner must ask again who it is
        self.is_in_doubt = False
        self.used_at_s = now_s
        self.news: dict[int, News] = {}
        self._due: dict[int, News] = {}

    def due(self) -> list[tuple[int, News]]:
        """Jobs with news, in the order it came."""
        return list(self._due.items())

    @property
    def is_urgent(self) -> bool:
        """Whether something other than log lines and progress is due."""
        return any(news.has_state or news.has_place for news in self._due.values())

    def settle(self, job_id: int) -> None:
        """Something was sent: if that was all, the job is not due any more."""
        news = self._due.get(job_id)
        if news is not None and not news.is_any:
            del self._due[job_id]

    def follow(self, job_id: int, watched: Watched) -> News:
        news = self.news.get(job_id)
        if news is None:
            if len(self.news) >= JOBS_MAX:
                self.end("behind")
            news = self.news[job_id] = News(next_line=watched.next_line, name=watched.name)
        return news

    def drop(self, job_id: int) -> News | None:
        self._due.pop(job_id, None)
        return self.news.pop(job_id, None)

    def wake(self, job_id: int) -> None:
        self._due[job_id] = self.news[job_id]
        self.woken.set()

    def end(self, reason: End) -> None:
        self.ended = self.ended or reason
        self.woken.set()


class _User:
    def __init__(self) -> None:
        self.watchers: dict[Watcher, None] = {}
        self.jobs: dict[int, Watched] = {}


class Hub:
    """All watchers, by user."""

    def __init__(self, clock: Clock, *, watchers_per_user: int, idle_timeout_s: float) -> None:
        self._clock = clock
        self._watchers_per_user = watchers_per_user
        self._idle_timeout_s = idle_timeout_s
        self._users: dict[str, _User] = {}
        self._ticking: asyncio.Task[None] | None = None
        self._is_closed = False
        self._empty = asyncio.Event()

    # --- life -----------------------------------------------------------------------------------

    def open(self) -> None:
        self._ticking = asyncio.get_running_loop().create_task(self._tick())

    async def close(self) -> None:
        """Tell every watcher to leave, and wait until the last one has, or for `CLOSE_S`."""
        self._is_closed = True
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)
        for watcher in self._watchers():
            watcher.end("closing")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                while any(True for _ in self._watchers()):
                    self._empty.clear()
                    await self._empty.wait()

    def bookmarks(self) -> dict[int, int]:
        """The number of the next line of every job that is not over, once its watchers have left."""
        return {
            job_id: watched.next_line
            for of_user in self._users.values()
            for job_id, watched in of_user.jobs.items()
            if watched.over_at_s is None and watched.next_line is not None
        }

    def resume(self, job: Job, next_line: int) -> None:
        """Whoever watches `job` next goes on from there: it did so before a restart."""
        of_user = self._users.setdefault(job.request.run_as, _User())
        of_user.jobs[job.id] = Watched(next_line=next_line)

    # --- watchers -------------------------------------------------------------------------------

    def enter(self, user: str) -> Watcher:
        """A new watcher, which takes up what was left of the user's jobs. Raises `PassingFault`."""
        if self._is_closed:
            raise PassingFault("This gateway is stopping; connect again when it is back.")
        of_user = self._users.setdefault(user, _User())
        if len(of_user.watchers) >= self._watchers_per_user:
            raise PassingFault(
                f"{user} has {len(of_user.watchers)} WebSockets open, as many as one user may. "
                "Close a page, or use HTTP."
            )
        watcher = Watcher(user, self._clock.monotonic_s())
        of_user.watchers[watcher] = None
        for job_id, watched in of_user.jobs.items():
            if watched.bound is None:
                _hand_over(watcher, job_id, watched).is_heir = True
        return watcher

    def leave(self, watcher: Watcher) -> None:
        """The watcher is gone; its jobs go to the user's other watchers."""
        of_user = self._users[watcher.user]
        of_user.watchers.pop(watcher, None)
        for job_id, news in watcher.news.items():
            watched = of_user.jobs.get(job_id)
            if watched is not None and watched.bound in (None, watcher):
                _take_back(of_user, job_id, news, watched)
        watcher.news.clear()
        self._forget_if_unused(watcher.user)
        self._empty.set()

    def used(self, watcher: Watcher) -> None:
        """Something went over the watcher's connection."""
        watcher.used_at_s = self._clock.monotonic_s()

    def doubt(self, user: str) -> None:
        """A login of `user` ended: each watcher of that user has to ask again who it is."""
        for watcher in self._users.get(user, _User()).watchers:
            watcher.is_in_doubt = True
            watcher.woken.set()

    def bind(self, job: Job, watcher: Watcher, name: object) -> None:
        """From now on only `watcher` hears of `job`, unless another one that is here does already."""
        of_user = self._users[watcher.user]
        watched = of_user.jobs.get(job.id)
        if job.request.run_as != watcher.user or (watched is None and job.state.is_final):
            return
        if watched is None:
            watched = of_user.jobs[job.id] = Watched(next_line=None)
        if watched.bound is not None:
            return
        watched.bound, watched.name = watcher, name
        for other in of_user.watchers:
            if other is not watcher:
                other.drop(job.id)
        if job.id not in watcher.news:
            _hand_over(watcher, job.id, watched)
        watcher.news[job.id].name = name

    def delivered(self, watcher: Watcher, job_id: int) -> None:
        """The watcher was sent everything of a job that is over."""
        news = watcher.drop(job_id)
        jobs = self._users[watcher.user].jobs
        watched = jobs.get(job_id)
        if watched is None:
            return
        if watched.bound is watcher or watched.name is None:
            del jobs[job_id]
        elif news is not None and news.is_heir:
            watched.next_line = news.next_line

    # --- what happens ---------------------------------------------------------------------------

    def observe(self, observation: Observation) -> None:
        match observation:
            case JobAccepted(job=job):
                self._tell(job, first_line=1, is_state=True)
            case JobChanged(before=before, after=job):
                is_state = before.state is not job.state
                is_progress = before.progress != job.progress
                if is_state or is_progress:
                    self._tell(job, is_state=is_state, is_progress=is_progress)
            case _:
                pass

    def grew(self, job: Job, first_line: int) -> None:
        """Lines from `first_line` on became readable."""
        self._tell(job, first_line=first_line, is_lines=True)

    def staged(self, job: Job) -> None:
        """The parts of the running statement moved on."""
        self._tell(job, is_progress=True)

    def _tell(
        self,
        job: Job,
        *,
        first_line: int | None = None,
        is_lines: bool = False,
        is_progress: bool = False,
        is_state: bool = False,
    ) -> None:
        of_user = self._users.get(job.request.run_as)
        if of_user is None:
            return
        watched = of_user.jobs.get(job.id)
        if watched is None:
            watched = of_user.jobs[job.id] = Watched(next_line=first_line)
        if watched.next_line is None:
            watched.next_line = first_line
        if job.state.is_final and is_state:
            watched.over_at_s = self._clock.monotonic_s()
        for watcher in (watched.bound,) if watched.bound is not None else of_user.watchers:
            news = watcher.follow(job.id, watched)
            if news.next_line is None:
                news.next_line = first_line
            news.has_lines |= is_lines
            news.has_progress |= is_progress
            news.has_state |= is_state
            watcher.wake(job.id)

    # --- now and then ---------------------------------------------------------------------------

    async def _tick(self) -> None:
        while True:
            await self._clock.sleep(TICK_S)
            now_s = self._clock.monotonic_s()
            for user in list(self._users):
                self._look_after(self._users[user], now_s)
                self._forget_if_unused(user)

    def _look_after(self, of_user: _User, now_s: float) -> None:
        for job_id, watched in list(of_user.jobs.items()):
            if watched.bound is None:
                if watched.over_at_s is not None and now_s - watched.over_at_s >= KEEP_S:
                    del of_user.jobs[job_id]
            elif watched.over_at_s is None:
                watched.bound.follow(job_id, watched).has_place = True
                watched.bound.wake(job_id)
        for watcher in of_user.watchers:
            if not watcher.news and now_s - watcher.used_at_s >= self._idle_timeout_s:
                watcher.end("idle")

    def _forget_if_unused(self, user: str) -> None:
        of_user = self._users.get(user)
        if of_user is not None and not of_user.watchers and not of_user.jobs:
            del self._users[user]

    def _watchers(self) -> Iterable[Watcher]:
        return (watcher for of_user in self._users.values() for watcher in of_user.watchers)


def _hand_over(watcher: Watcher, job_id: int, watched: Watched) -> News:
    """All there is to say of the job is news, its log from where the watcher before had come to."""
    news = watcher.follow(job_id, watched)
    news.has_lines = watched.next_line is not None
    news.has_progress = news.has_state = True
    watcher.wake(job_id)
    return news


def _take_back(of_user: _User, job_id: int, news: News, watched: Watched) -> None:
    """Who had `news` is gone. A bystander's place in the log is not where the one who left goes on."""
    if watched.bound is None:
        if news.is_heir or watched.name is None:
            watched.next_line = news.next_line
        return
    watched.bound, watched.next_line = None, news.next_line
    for other in of_user.watchers:
        _hand_over(other, job_id, watched)
