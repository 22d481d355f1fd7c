"""The one thread that writes: many small writes, one commit.

Theory of operation. Writes stand in one line and are stored in its order. The thread takes what is there,
at most `BATCH_MAX`, and stores it in one transaction, so that one fsync serves everybody who waits; while
it runs, the next batch collects. No delay is added: alone, a write is committed at once.

A batch that fails is rolled back and its writes are tried again one by one, so that a bad one hurts only
itself. A *passing* fault (full disk, locked database) is told to those who wait. A write nobody waits for
("soon") stays at the head of the line instead and is tried again, `RETRY_S_MIN` to `RETRY_S_MAX` apart,
for as long as the store is open; meanwhile writes behind it that somebody waits for are refused with the
same fault, since storing them would break the order.

Bounds. `WAITING_MAX` callers wait in line; more wait for a place. `SOON_MAX` soon-writes stand in line;
at one more the calling thread waits for the next commit, unless the line is stuck on a passing fault:
then that write is given up and told to `on_failure`, like a soon-write that fails for good.
At the close a stuck line is tried `CLOSE_TRIES_MAX` more times.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from ujes.core.errors import InternalError, PassingFault, StorageFull
from ujes.gateway.store.database import StorageBusy

BATCH_MAX = 200
WAITING_MAX = 10_000
SOON_MAX = 20_000
RETRY_S_MIN = 0.05
RETRY_S_MAX = 1.0
CLOSE_TRIES_MAX = 5

T = TypeVar("T")
OnFailure = Callable[[Exception], None]
#: Stores all in one transaction and answers each, in order; when it raises, nothing was stored.
Run = Callable[[Sequence[T]], list[object]]


class _Write(Generic[T]):
    __slots__ = ("future", "operation")

    def __init__(self, operation: T, future: asyncio.Future[object] | None) -> None:
        self.operation = operation
        #: None when nobody waits
        self.future = future


class Writer(Generic[T]):
    """Belongs to the loop it was made on: call it from that loop's thread."""

    def __init__(self, run: Run[T], on_failure: OnFailure) -> None:
        self._run = run
        self._on_failure = on_failure
        self._loop = asyncio.get_running_loop()
        self._line: queue.SimpleQueue[_Write[T] | None] = queue.SimpleQueue()
        self._places = asyncio.Semaphore(WAITING_MAX)
        self._is_closed = False
        # Each of the two counters has one writing thread, so neither needs a lock.
        self._soon_added = 0
        self._soon_done = 0
        self._settled = threading.Event()
        self._ended = asyncio.Event()
        # The thread's own:
        self._stuck: list[_Write[T]] = []
        self._retry_s = 0.0
        self._is_last = threading.Event()
        self._tries_left = CLOSE_TRIES_MAX
        self._thread = threading.Thread(target=self._work, name="store-writer", daemon=True)
        self._thread.start()

    async def write(self, operation: T) -> object:
        """Store it durably; what the operation answers or raises."""
        async with self._places:
            self._check_open()
            future: asyncio.Future[object] = self._loop.create_future()
            self._line.put(_Write(operation, future))
            return await future

    def write_soon(self, operation: T) -> None:
        """Store it after everything in line; failures go to `on_failure`."""
        self._check_open()
        if self._soon_count >= SOON_MAX and not self._wait_for_place():
            self._on_failure(
                StorageFull("A change was given up: too many wait for a database that takes no writes.")
            )
            return
        self._soon_added += 1
        self._line.put(_Write(operation, None))

    async def close(self) -> None:
        """Store everything in line, then end the thread."""
        if not self._is_closed:
            self._is_closed = True
            self._is_last.set()
            self._line.put(None)
        await self._ended.wait()
        self._thread.join()

    @property
    def _soon_count(self) -> int:
        return self._soon_added - self._soon_done

    def _check_open(self) -> None:
        if self._is_closed:
            raise InternalError("The store is closed.")

    def _wait_for_place(self) -> bool:
        """Hold the caller until a commit made room; no room will come while the line is stuck."""
        while self._soon_count >= SOON_MAX:
            self._settled.clear()
            if self._stuck:
                return False
            if self._soon_count >= SOON_MAX:
                self._settled.wait(RETRY_S_MAX)
        return True

    # --- the thread ---

    def _work(self) -> None:
        is_open = True
        try:
            while is_open or self._stuck:
                batch, is_open = self._take(is_open)
                self._settle(batch)
        finally:
            # A loop that was closed before the store has nobody left to tell.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._ended.set)

    def _take(self, is_open: bool) -> tuple[list[_Write[T]], bool]:
        batch = list(self._stuck)
        if batch:
            self._is_last.wait(self._retry_s)
        elif is_open:
            first = self._line.get()
            if first is None:
                return [], False
            batch = [first]
        # Behind a stuck head the line moves on, so that those who wait are told.
        size_max = len(self._stuck) + BATCH_MAX
        try:
            while is_open and len(batch) < size_max:
                write = self._line.get_nowait()
                if write is None:
                    return batch, False
                batch.append(write)
        except queue.Empty:
            pass  # everything there was taken
        return batch, is_open

    def _settle(self, batch: list[_Write[T]]) -> None:
        if not batch:
            return
        outcomes = self._outcomes(batch)
        stuck = [w for w, outcome in zip(batch, outcomes, strict=True) if _is_stuck(w, outcome)]
        done = [(w, outcome) for w, outcome in zip(batch, outcomes, strict=True) if not _is_stuck(w, outcome)]
        self._note_stuck(stuck, done)
        self._soon_done += sum(1 for write, _ in done if write.future is None)
        self._settled.set()
        if done:
            self._tell(done)

    def _outcomes(self, batch: list[_Write[T]]) -> Sequence[object]:
        """What each write answers, or the exception it ended with."""
        try:
            return self._run([write.operation for write in batch])
        except StorageBusy as fault:
            # One by one, each of them would wait as long again.
            return [fault] * len(batch)
        except Exception as fault:  # noqa: BLE001 - told to whoever waits
            return [fault] if len(batch) == 1 else self._one_by_one(batch)

    def _one_by_one(self, batch: list[_Write[T]]) -> Sequence[object]:
        outcomes: list[object] = []
        blocked: object = None
        for write in batch:
            outcome = blocked or self._try_alone(write)
            outcomes.append(outcome)
            if isinstance(outcome, StorageBusy) or _is_stuck(write, outcome):
                blocked = outcome
        return outcomes

    def _try_alone(self, write: _Write[T]) -> object:
        try:
            return self._run([write.operation])[0]
        except Exception as fault:  # noqa: BLE001 - told to whoever waits
            return fault

    def _note_stuck(self, stuck: list[_Write[T]], done: list[tuple[_Write[T], object]]) -> None:
        self._stuck = stuck
        if not stuck:
            self._retry_s = 0.0
            return
        self._retry_s = min(max(self._retry_s * 2, RETRY_S_MIN), RETRY_S_MAX)
        if self._is_last.is_set():
            self._tries_left -= 1
        if self._tries_left < 0:
            self._stuck = []
            done.extend((w, StorageFull("A change was lost: the database took no writes.")) for w in stuck)

    def _tell(self, done: list[tuple[_Write[T], object]]) -> None:
        try:
            self._loop.call_soon_threadsafe(self._on_done, done)
        except RuntimeError:
            # The loop was closed before the store: nobody waits any more, but failures are still told.
            for write, outcome in done:
                if write.future is None:
                    self._report(outcome)

    def _on_done(self, done: list[tuple[_Write[T], object]]) -> None:
        for write, outcome in done:
            future = write.future
            if future is None:
                self._report(outcome)
            elif future.done():
                continue  # its caller was cancelled
            elif isinstance(outcome, Exception):
                future.set_exception(_own(outcome))
            else:
                future.set_result(outcome)

    def _report(self, outcome: object) -> None:
        if isinstance(outcome, Exception):
            self._on_failure(outcome)
        elif outcome is False:
            self._on_failure(InternalError("A change was not stored: the record had changed meanwhile."))


def _is_stuck(write: _Write[T], outcome: object) -> bool:
    return write.future is None and isinstance(outcome, PassingFault)


def _own(fault: Exception) -> Exception:
    """A copy for each who waits: a traceback grows with every raise of one exception."""
    if isinstance(fault, PassingFault):
        copy = type(fault)(fault.message)
        copy.__cause__ = fault.__cause__
        return copy
    return fault
