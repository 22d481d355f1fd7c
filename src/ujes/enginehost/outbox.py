"""What the host has said about its jobs and the gateway has not confirmed yet.

Theory of operation. Each job has an ordered story: Accepted, log lines and results as they came, Ended.
The outbox keeps the story and a cursor of what was sent over the present connection; `next_frame` takes
the next piece behind the cursor. A new connection only moves the cursors back to what the gateway said
it has kept. Lines leave the outbox when they are acknowledged, the rest when the job is forgotten.

Bound: the unacknowledged lines of a job fill at most `size_bytes_max`; then whoever writes waits for an
Ack. So nothing is lost and nothing grows.

Locks. A writer may be interrupted anywhere by `KeyboardInterrupt`, for engines interrupt code that way.
Only `with` on a plain lock is safe against that (`Condition` is Python code and can be left with its
lock held), and the order of the steps leaves a consistent story at every point: a line counts when it is
in the deque, its number follows from its place. A size that missed a step is mended when the deque runs
empty.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ujes.link.messages import Accepted, Ended, HostJob, Lines, Progress, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ujes.link.messages import FromHost, Kept

#: Unacknowledged log lines of one job.
SIZE_BYTES_MAX = 8 * 1024 * 1024
#: One frame of lines.
FRAME_LINES_MAX = 500
FRAME_LINES_BYTES_MAX = 256 * 1024
#: What a line costs besides its text.
_LINE_COST_BYTES = 80


@dataclass(kw_only=True, slots=True)
class _Story:
    """One job's story and how far it was sent."""

    job: int
    first_line: int
    #: number of the oldest line that is kept
    base: int
    #: sent over this connection and not acknowledged
    sent: deque[str] = field(default_factory=deque)
    unsent: deque[str] = field(default_factory=deque)
    lines_bytes: int = 0
    #: each with the number of the line it comes before
    results: list[tuple[int, Result]] = field(default_factory=list)
    progress: Progress | None = None
    ended: Ended | None = None
    #: nobody waits for its lines any more: those that do not fit are dropped
    is_hurried: bool = False
    is_accepted_sent: bool = False
    results_sent: int = 0
    is_ended_sent: bool = False

    @property
    def next_line(self) -> int:
        """The number of the next line to send."""
        return self.base + len(self.sent)

    @property
    def end_line(self) -> int:
        """The number the next line written will get."""
        return self.base + len(self.sent) + len(self.unsent)

    def rewind(self) -> None:
        """Over a new connection everything that is kept is sent again."""
        self.unsent.extendleft(reversed(self.sent))
        self.sent.clear()
        self.is_accepted_sent = False
        self.results_sent = 0
        self.is_ended_sent = False

    def acknowledge(self, next_line: int) -> None:
        while self.base < next_line and (lines := self.sent or self.unsent):
            self.lines_bytes -= _cost_bytes(lines.popleft())
            self.base += 1
        if not self.sent and not self.unsent:
            self.lines_bytes = 0

    def next_frame(self) -> FromHost | None:
        if not self.is_accepted_sent:
            self.is_accepted_sent = True
            return Accepted(job=self.job)
        if (progress := self._take_progress()) is not None:
            return progress
        before_line, result = self._next_result()
        if self.next_line < before_line:
            return self._next_lines(before_line)
        if result is not None:
            self.results_sent += 1
            return result
        return self._take_ended()

    def _next_result(self) -> tuple[int, Result | None]:
        if self.results_sent < len(self.results):
            return self.results[self.results_sent]
        return self.end_line, None

    def _next_lines(self, before_line: int) -> Lines:
        first = self.next_line
        lines: list[str] = []
        size_bytes = 0
        for _ in range(min(before_line - first, FRAME_LINES_MAX)):
            size_bytes += _cost_bytes(self.unsent[0])
            if lines and size_bytes > FRAME_LINES_BYTES_MAX:
                break
            lines.append(self.unsent.popleft())
        self.sent.extend(lines)
        return Lines(job=self.job, first=first, lines=lines)

    def _take_progress(self) -> Progress | None:
        progress, self.progress = self.progress, None
        return progress

    def _take_ended(self) -> Ended | None:
        if self.ended is None or self.is_ended_sent:
            return None
        self.is_ended_sent = True
        return self.ended


class Outbox:
    """The stories of every job not yet forgotten. Any thread may call any method."""

    def __init__(self, wake: Callable[[], None], size_bytes_max: int = SIZE_BYTES_MAX) -> None:
        #: called, without the lock, whenever there is something new to send
        self._wake = wake
        self._size_bytes_max = size_bytes_max
        self._lock = threading.Lock()
        self._stories: dict[int, _Story] = {}
        self._waiters: list[threading.Lock] = []

    # --- the host's side --------------------------------------------------------------------------

    def begin(self, job: int, first_line: int) -> None:
        with self._lock:
            self._stories[job] = _Story(job=job, first_line=first_line, base=first_line)
        self._wake()

    def add_lines(self, job: int, lines: Iterable[str]) -> None:
        """Add log lines one by one; waits while the job's buffer is full. Lines after its end are dropped."""
        for line in lines:
            while (waiter := self._add_or_wait(job, line)) is not None:
                self._wake()
                waiter.acquire()
        self._wake()

    def hurry(self, job: int) -> None:
        """The job is being cancelled: it must not wait for room, its further lines may be dropped."""
        with self._lock:
            if (story := self._stories.get(job)) is not None:
                story.is_hurried = True
                self._release_waiters()

    def add_result(self, result: Result) -> None:
        with self._lock:
            story = self._stories.get(result.job)
            if story is not None and story.ended is None:
                story.results.append((story.end_line, result))
        self._wake()

    def add_progress(self, progress: Progress) -> None:
        """Replaces a progress that was not sent yet."""
        with self._lock:
            if (story := self._stories.get(progress.job)) is not None and story.ended is None:
                story.progress = progress
        self._wake()

    def end(self, ended: Ended) -> None:
        with self._lock:
            story = self._stories[ended.job]
            story.progress = None
            story.ended = ended
        self._wake()

    def _add_or_wait(self, job: int, line: str) -> threading.Lock | None:
        """None when the line was added, else a lock that is released when it is worth another try."""
        with self._lock:
            story = self._stories.get(job)
            if story is None or story.ended is not None:
                return None
            cost_bytes = _cost_bytes(line)
            if not story.lines_bytes or story.lines_bytes + cost_bytes <= self._size_bytes_max:
                story.unsent.append(line)
                story.lines_bytes += cost_bytes
                return None
            if story.is_hurried:
                return None
            waiter = threading.Lock()
            waiter.acquire()
            self._waiters.append(waiter)
            return waiter

    # --- the link's side --------------------------------------------------------------------------

    def next_frame(self) -> FromHost | None:
        """The next thing to send, or None. Jobs are told one after the other, the oldest first."""
        with self._lock:
            for story in self._stories.values():
                if (frame := story.next_frame()) is not None:
                    return frame
        return None

    def reconnect(self, kept: Sequence[Kept], forget: Iterable[int]) -> None:
        """A gateway welcomed the host: send again from where it stands."""
        with self._lock:
            for job in forget:
                self._stories.pop(job, None)
            next_lines = {each.job: each.next_line for each in kept}
            for story in self._stories.values():
                story.acknowledge(next_lines.get(story.job, story.base))
                story.rewind()
            self._release_waiters()

    def acknowledge(self, job: int, next_line: int) -> None:
        with self._lock:
            if (story := self._stories.get(job)) is not None:
                story.acknowledge(next_line)
                self._release_waiters()

    def forget(self, job: int) -> None:
        with self._lock:
            self._stories.pop(job, None)
            self._release_waiters()

    def jobs(self) -> list[HostJob]:
        with self._lock:
            return [
                HostJob(job=each.job, first_line=each.first_line, has_ended=each.ended is not None)
                for each in self._stories.values()
            ]

    def unconfirmed(self) -> list[FromHost]:
        """All that is kept, as frames, from the oldest: for the file of a host that must leave."""
        with self._lock:
            for story in self._stories.values():
                story.rewind()
        frames: list[FromHost] = []
        while (frame := self.next_frame()) is not None:
            frames.append(frame)
        return frames

    def _release_waiters(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.release()


def _cost_bytes(line: str) -> int:
    return _LINE_COST_BYTES + (len(line) if line.isascii() else 4 * len(line))
