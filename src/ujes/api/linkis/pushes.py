"""What one socket is sent without asking: status, log, progress and place in line of its jobs.

Everything is read from the records that polling reads, at the moment it can be sent. Of a job that is over
the last lines go first, then its progress, then its state, because a page ends the run on that.

Log lines go at once while there are few. Above `FRAMES_PER_S` they are held back for `HOLD_S` after each
push, and go out together; a new state never waits.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ujes.api.linkis import execid
from ujes.api.linkis.frames import JobName, within
from ujes.api.linkis.hot import progress_of
from ujes.api.linkis.lookup import strong_exec_id
from ujes.core.errors import InvalidRequest, StorageFull
from ujes.gateway.log import logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ujes.core.job import Job
    from ujes.gateway.gateway import Gateway
    from ujes.gateway.jobs.hub import News, Watcher

#: Lines in one push at most.
LINES_MAX = 2000
#: Log pushes of one socket that are sent at once: this many a second, and a burst of as many.
FRAMES_PER_S = 500
HOLD_S = 0.15
#: A caller is asked again who it is at most this often.
CHECK_EVERY_S = 1.0


class Pushes:
    def __init__(
        self,
        gateway: Gateway,
        watcher: Watcher,
        send: Callable[[bytes], Awaitable[None]],
        check: Callable[[], Awaitable[object]],
    ) -> None:
        self._gateway = gateway
        self._watcher = watcher
        self._send = send
        #: says whether the caller may still be sent anything, and renews the idle time of its login
        self._check = check
        self._checked_at_s = gateway.clock.monotonic_s()
        self._pace = Pace()
        self._alarm: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Send what is due until the watcher is told to leave. Raises what `send` and `check` raise."""
        try:
            while self._watcher.ended is None:
                await self._watcher.woken.wait()
                self._watcher.woken.clear()
                await self._turn()
            await self._push_all()
        finally:
            self._be_quiet()

    async def _turn(self) -> None:
        now_s = self._gateway.clock.monotonic_s()
        if self._watcher.is_in_doubt or now_s - self._checked_at_s >= CHECK_EVERY_S:
            self._watcher.is_in_doubt, self._checked_at_s = False, now_s
            await self._check()
        delay_s = self._pace.delay_s(now_s)
        if delay_s > 0:
            self._wake_in(delay_s)
        await self._push_all(is_held=delay_s > 0)
        if not delay_s and self._watcher.due():
            self._watcher.woken.set()
            await asyncio.sleep(0)  # the next part may wait until others had their turn

    async def _push_all(self, *, is_held: bool = False) -> None:
        """One part of every job's news; only of those with a new state while lines are held back."""
        for job_id, news in self._watcher.due():
            if not is_held or news.has_state or news.has_place:
                await self._push(job_id, news)

    async def _push(self, job_id: int, news: News) -> None:
        entrance = self._gateway.entrance
        job = entrance.at_hand(job_id) or await entrance.job(job_id)
        if job is None:
            self._watcher.drop(job_id)
            return
        if not job.state.is_final:
            await self._push_marks(job, news)
        has_more = await self._push_lines(job, news)
        if job.state.is_final and not has_more:
            await self._push_marks(job, news)
        if job.state.is_final and not news.is_any:
            self._gateway.hub.delivered(self._watcher, job_id)
        else:
            self._watcher.settle(job_id)

    async def _push_marks(self, job: Job, news: News) -> None:
        """Place in line, progress and state, as they are in `job`; what changes meanwhile is news again."""
        has_progress, has_state, has_place = news.has_progress, news.has_state, news.has_place
        news.has_progress = news.has_state = news.has_place = False
        name = self._name(job, news)
        if has_place and job.is_waiting:
            place = {"waitingSize": self._gateway.board.ahead_of(job)}
            await self._send(name.push("waitingSize", job, place))
        if has_progress or (has_state and job.state.is_final):
            await self._send(name.push("progress", job, progress_of(self._gateway, job)))
        if has_state:
            await self._send(name.status(job))

    async def _push_lines(self, job: Job, news: News) -> bool:
        """Send the next lines; returns whether there are more."""
        is_due, news.has_lines = news.has_lines, False
        if not is_due or news.next_line is None:
            return False
        try:
            read = (await self._gateway.logs.read(job, news.next_line, LINES_MAX)).lines
        except (OSError, StorageFull) as error:
            logger().warning("A log cannot be pushed.", job=job.id, reason=str(error))
            return False
        lines = within(read)
        frame = self._name(job, news).log(job, lines)
        if frame is not None:
            await self._send(frame)
            self._pace.spend(self._gateway.clock.monotonic_s())
        news.next_line += len(lines)
        news.has_lines |= len(lines) < len(read) or len(read) == LINES_MAX
        return news.has_lines

    def _name(self, job: Job, news: News) -> JobName:
        """As the page knows it; a job nobody named has the form of the REST documents."""
        if isinstance(news.name, JobName):
            return news.name
        try:
            return JobName(exec_id=execid.legacy(job.queue, job.id, address=self._gateway.address))
        except InvalidRequest:  # its parts are too long for that form
            return JobName(exec_id=strong_exec_id(self._gateway, job))

    def _wake_in(self, delay_s: float) -> None:
        self._be_quiet()
        self._alarm = asyncio.get_running_loop().call_later(delay_s, self._watcher.woken.set)

    def _be_quiet(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()


class Pace:
    """How fast log pushes of one socket may follow each other."""

    def __init__(self) -> None:
        #: when all pushes so far would be over, were they sent evenly
        self._even_until_s = 0.0
        self._last_s = 0.0

    def spend(self, now_s: float) -> None:
        self._even_until_s = max(self._even_until_s, now_s) + 1 / FRAMES_PER_S
        self._last_s = now_s

    def delay_s(self, now_s: float) -> float:
        """How long the next one has to wait; one second's burst is free."""
        return max(0.0, min(self._even_until_s - 1.0 - now_s, self._last_s + HOLD_S - now_s))
