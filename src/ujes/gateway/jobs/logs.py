"""The log of each job: one plain file, written here and nowhere else, read by line number.

Lines are numbered from 1 and a line, once readable, never changes. From the moment a run message is sent
until the run has ended only the engine host's lines are appended, and the host numbers them itself; so the
file's own line count says what is kept, and a host that repeats lines after a broken connection or a restart
of the gateway adds nothing twice. A line cut off by a crash is not counted and is cut away.

What the gateway has to say during a run waits for its end.

The first lines of a job in line are held back until somebody wants to read them or add to them: making a
file is the dearest part of accepting a job, and a crash before that loses nothing, since nobody has seen the
lines and the next start writes them from the job's row.
"""

from __future__ import annotations

import asyncio
import functools
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ujes.core.errors import StorageFull
from ujes.core.job import Job

Level = Literal["INFO", "WARN", "ERROR"]

#: Logs whose line index is kept in memory; the least recently used is read again when needed.
OPEN_LOGS_MAX = 512
#: First lines held back at once; further ones are written right away.
BEGUN_CHARS_MAX = 32 * 1024 * 1024
#: A line's place is remembered every so many lines.
MARK_EVERY = 256
#: The newest lines of a log, kept in memory for those who follow it.
TAIL_BYTES = 64 * 1024
#: One answer carries at most this much text; the reader asks again from where it ends.
READ_BYTES_MAX = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class LogLines:
    """Lines of a log, the first of them numbered `first`."""

    first: int
    lines: tuple[str, ...]

    @property
    def next_line(self) -> int:
        return self.first + len(self.lines)


def entry(text: str, level: Level, at_ms: int) -> list[str]:
    """A log entry as lines: time and level, then the text."""
    first, *more = text.splitlines() or [""]
    seconds, millis = divmod(at_ms, 1000)
    return [f"{_second(seconds)}.{millis:03d} {level} {first}", *more]


@functools.lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    """Many entries are of the same second."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


class Logs:
    """All job logs, by job."""

    def __init__(self, path_of: Callable[[Job], Path]) -> None:
        self.path = path_of
        self._open: OrderedDict[int, _Log] = OrderedDict()
        self._begun: dict[int, Sequence[str]] = {}
        self._begun_chars = 0
        self._folders: set[Path] = set()
        #: called when lines became readable, with the number of the first of them
        self.grew: Callable[[Job, int], None] = lambda _job, _first_line: None

    def begin(self, job: Job, lines: Sequence[str]) -> None:
        """The first lines of a new job's log, which nobody has written to. Raises OSError."""
        self._begun[job.id] = lines
        self._begun_chars += _chars(lines)
        if self._begun_chars > BEGUN_CHARS_MAX:
            self.settle(job)
        self.grew(job, 1)

    def settle(self, job: Job) -> None:
        """Write what is held back of a log; for those who read the file itself. Raises OSError."""
        if job.id in self._begun:
            log = self._made(job)
            log.append(self._begun[job.id])
            self._begun_chars -= _chars(self._begun.pop(job.id))
            self._hold(job.id, log)

    def append(self, job: Job, lines: Sequence[str]) -> None:
        """Add lines. Raises OSError when they cannot be written; then none of them is there."""
        self._append(job, self._log(job), lines)

    def keep(self, job: Job, first: int, lines: Sequence[str]) -> int:
        """Add a host's lines that are not there yet; returns the number of the next line needed."""
        log = self._log(job)
        known = log.count + 1 - first
        if known < 0:
            raise ValueError(f"job {job.id}: lines {log.count + 1} to {first - 1} are missing")
        if known < len(lines):
            self._append(job, log, lines[known:])
        return log.count + 1

    def _append(self, job: Job, log: _Log, lines: Sequence[str]) -> None:
        first_line = log.count + 1
        log.append(lines)
        if log.count >= first_line:
            self.grew(job, first_line)

    def next_line(self, job: Job) -> int:
        return self._log(job).count + 1

    def last(self, job: Job) -> str:
        """The last line, empty for an empty log."""
        log = self._log(job)
        return log.read(log.count, 1).lines[0] if log.count else ""

    async def read(self, job: Job, first: int, count: int) -> LogLines:
        """At most `count` lines from line `first` on; none past the end. A missing log is empty.

        The newest lines of a log in use come from memory; everything else is read in a thread. Raises
        `StorageFull` when lines held back cannot be written.
        """
        try:
            self.settle(job)
        except OSError as error:
            raise StorageFull(f"The log of job {job.id} cannot be written: {error.strerror}.") from None
        log = self._open.get(job.id)
        if log is None and job.state.is_final:
            log = _Log(self.path(job))
            await asyncio.to_thread(log.load, is_final=True)
            self._hold(job.id, log)
        log = log or self._log(job)
        if log.has_in_memory(first):
            return log.read(max(first, 1), count)
        return await asyncio.to_thread(log.read, max(first, 1), count)

    def _log(self, job: Job) -> _Log:
        self.settle(job)
        log = self._open.get(job.id)
        if log is None:
            log = self._made(job)
            log.load(is_final=job.state.is_final)
        self._hold(job.id, log)
        return log

    def _made(self, job: Job) -> _Log:
        path = self.path(job)
        self._make_folder(path.parent)
        return _Log(path)

    def _hold(self, job_id: int, log: _Log) -> None:
        self._open[job_id] = log
        self._open.move_to_end(job_id)
        while len(self._open) > OPEN_LOGS_MAX:
            self._open.popitem(last=False)

    def _make_folder(self, folder: Path) -> None:
        if folder not in self._folders:
            folder.mkdir(parents=True, exist_ok=True, mode=0o750)
            self._folders.add(folder)


def _chars(lines: Sequence[str]) -> int:
    return sum(map(len, lines))


class _Log:
    """One file, how many lines it has, and where some of them begin."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.count = 0
        self._size_bytes = 0
        self._marks = [0]
        self._tail: list[bytes] = []
        self._tail_bytes = 0

    def load(self, *, is_final: bool) -> None:
        """Take in what is there already, if anything is."""
        try:
            with self._path.open("rb") as file:
                whole = 0
                for line in file:
                    if line.endswith(b"\n"):
                        whole += len(line)
                        self._count(line)
                torn = file.tell() != whole
        except FileNotFoundError:
            return
        if torn and not is_final:
            os.truncate(self._path, whole)

    def _count(self, line: bytes) -> None:
        self.count += 1
        self._size_bytes += len(line)
        if self.count % MARK_EVERY == 0:
            self._marks.append(self._size_bytes)
        self._tail.append(line)
        self._tail_bytes += len(line)
        if self._tail_bytes > 2 * TAIL_BYTES:
            self._cut_tail()

    def _cut_tail(self) -> None:
        drop = 0
        while self._tail_bytes > TAIL_BYTES and drop < len(self._tail) - 1:
            self._tail_bytes -= len(self._tail[drop])
            drop += 1
        del self._tail[:drop]

    def append(self, lines: Sequence[str]) -> None:
        encoded = [line.encode("utf-8", "replace") + b"\n" for line in lines]
        content = b"".join(encoded)
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            self._write(file, content)
        finally:
            os.close(file)
        for line in encoded:
            self._count(line)

    def _write(self, file: int, content: bytes) -> None:
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(file, view) :]
        except OSError:
            if os.fstat(file).st_size > self._size_bytes:
                os.ftruncate(file, self._size_bytes)
            raise

    def has_in_memory(self, first: int) -> bool:
        """Whether reading from `first` on needs no file."""
        return first > self.count - len(self._tail)

    def read(self, first: int, count: int) -> LogLines:
        wanted = min(count, self.count - first + 1)
        if wanted <= 0:
            return LogLines(first, ())
        in_tail = first - (self.count - len(self._tail)) - 1
        raw = self._tail[in_tail : in_tail + wanted] if in_tail >= 0 else self._from_file(first, wanted)
        return LogLines(first, tuple(line[:-1].decode("utf-8", "replace") for line in raw))

    def _from_file(self, first: int, wanted: int) -> list[bytes]:
        mark = (first - 1) // MARK_EVERY
        lines: list[bytes] = []
        total = 0
        with self._path.open("rb") as file:
            file.seek(self._marks[mark])
            for _ in range(first - 1 - mark * MARK_EVERY):
                file.readline()
            while len(lines) < wanted and total < READ_BYTES_MAX:
                lines.append(file.readline())
                total += len(lines[-1])
        return lines
