"""The group-committing writer alone, with scripted transactions in place of a database."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from ujes.core.errors import InternalError, StorageFull
from ujes.gateway.store import writer as writer_module
from ujes.gateway.store.database import StorageBusy
from ujes.gateway.store.writer import BATCH_MAX, CLOSE_TRIES_MAX, Writer

PATIENCE_S = 20.0


class Transactions:
    """Stores text; each word of `faults` fails with its exception for as long as it stands there."""

    def __init__(self) -> None:
        self.stored: list[str] = []
        self.batches: list[list[str]] = []
        self.faults: dict[str, Exception] = {}
        self.answers: dict[str, object] = {}
        self.entered = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()

    def run(self, operations: Sequence[str]) -> list[object]:
        self.batches.append(list(operations))
        self.entered.release()
        assert self.gate.wait(PATIENCE_S)
        for word in operations:
            if word in self.faults:
                raise self.faults[word]
        self.stored.extend(operations)
        return [self.answers.get(word, word.upper()) for word in operations]


class Failures(list[Exception]):
    """What `on_failure` was told, and a way to wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self._told = asyncio.Event()

    def __call__(self, failure: Exception) -> None:
        self.append(failure)
        self._told.set()

    async def first(self) -> Exception:
        await asyncio.wait_for(self._told.wait(), PATIENCE_S)
        return self[0]


@pytest.fixture
def transactions() -> Transactions:
    return Transactions()


@pytest.fixture
async def failures() -> Failures:
    return Failures()


@pytest.fixture
async def writer(transactions: Transactions, failures: Failures) -> AsyncIterator[Writer[str]]:
    writer: Writer[str] = Writer(transactions.run, failures)
    yield writer
    transactions.gate.set()
    transactions.faults.clear()
    await writer.close()


@pytest.fixture
async def hold(writer: Writer[str], transactions: Transactions) -> Callable[[], asyncio.Task[object]]:
    """Keeps the thread in a first transaction, so that what follows collects."""

    def held() -> asyncio.Task[object]:
        transactions.gate.clear()
        writer.write_soon("first")
        assert transactions.entered.acquire(timeout=PATIENCE_S)
        return asyncio.ensure_future(writer.write("second"))

    return held


async def test_a_write_answers_what_its_operation_answered(writer: Writer[str]) -> None:
    assert await writer.write("a") == "A"


async def test_what_collects_during_a_commit_is_the_next_batch(
    writer: Writer[str], transactions: Transactions, hold: Callable[[], asyncio.Task[object]]
) -> None:
    waiting = [hold(), *(asyncio.ensure_future(writer.write(f"w{i}")) for i in range(5))]
    await _until_in_line(writer, 6)
    transactions.gate.set()
    await asyncio.gather(*waiting)
    assert transactions.batches == [["first"], ["second", "w0", "w1", "w2", "w3", "w4"]]


async def test_a_batch_has_a_largest_size(
    writer: Writer[str], transactions: Transactions, hold: Callable[[], asyncio.Task[object]]
) -> None:
    waiting = [hold(), *(asyncio.ensure_future(writer.write(f"w{i}")) for i in range(2 * BATCH_MAX))]
    await _until_in_line(writer, 2 * BATCH_MAX + 1)
    transactions.gate.set()
    await asyncio.gather(*waiting)
    assert [len(batch) for batch in transactions.batches] == [1, BATCH_MAX, BATCH_MAX, 1]


async def test_waited_for_and_soon_keep_one_order(
    writer: Writer[str], transactions: Transactions, hold: Callable[[], asyncio.Task[object]]
) -> None:
    second = hold()
    await _until_in_line(writer, 1)
    writer.write_soon("third")
    fourth = asyncio.ensure_future(writer.write("fourth"))
    await _until_in_line(writer, 3)
    writer.write_soon("fifth")
    transactions.gate.set()
    await asyncio.gather(second, fourth)
    await writer.close()
    assert transactions.stored == ["first", "second", "third", "fourth", "fifth"]


async def test_a_bad_write_hurts_only_itself(
    writer: Writer[str], transactions: Transactions, hold: Callable[[], asyncio.Task[object]]
) -> None:
    transactions.faults["bad"] = InternalError("bad")
    waiting = [hold(), *(asyncio.ensure_future(writer.write(word)) for word in ("a", "bad", "b"))]
    await _until_in_line(writer, 4)
    transactions.gate.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [str(answer) for answer in answers] == ["SECOND", "A", "bad", "B"]
    assert transactions.stored == ["first", "second", "a", "b"]


async def test_a_soon_write_that_fails_for_good_is_told(
    writer: Writer[str], transactions: Transactions, failures: Failures
) -> None:
    transactions.faults["bad"] = InternalError("bad")
    writer.write_soon("bad")
    assert str(await failures.first()) == "bad"
    assert await writer.write("next") == "NEXT"


async def test_a_soon_change_that_lost_is_told(
    writer: Writer[str], transactions: Transactions, failures: Failures
) -> None:
    transactions.answers["lost"] = False
    writer.write_soon("lost")
    assert "changed meanwhile" in str(await failures.first())


async def test_on_a_full_disk_callers_are_told_and_soon_writes_stay_in_order(
    writer: Writer[str], transactions: Transactions, failures: Failures
) -> None:
    transactions.faults["soon1"] = StorageFull()
    writer.write_soon("soon1")
    with pytest.raises(StorageFull):
        await writer.write("waited")
    writer.write_soon("soon2")
    with pytest.raises(StorageFull):
        await writer.write("waited again")
    transactions.faults.clear()
    assert await writer.write("last") == "LAST"
    assert transactions.stored == ["soon1", "soon2", "last"]
    assert failures == []


async def test_behind_a_large_refused_write_small_ones_are_stored(
    writer: Writer[str], transactions: Transactions, hold: Callable[[], asyncio.Task[object]]
) -> None:
    transactions.faults["large"] = StorageFull()
    waiting = [hold(), *(asyncio.ensure_future(writer.write(word)) for word in ("large", "small"))]
    await _until_in_line(writer, 3)
    transactions.gate.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(answers[1], StorageFull)
    assert answers[2] == "SMALL"


async def test_a_locked_database_is_waited_for_once_a_batch(
    writer: Writer[str], transactions: Transactions, hold: Callable[[], asyncio.Task[object]]
) -> None:
    transactions.faults["a"] = StorageBusy()
    waiting = [hold(), *(asyncio.ensure_future(writer.write(word)) for word in ("a", "b", "c"))]
    await _until_in_line(writer, 4)
    transactions.gate.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(answer, StorageBusy) for answer in answers)
    assert len({id(answer) for answer in answers}) == len(answers)
    assert len(transactions.batches) == 2


async def test_a_cancelled_caller_disturbs_nobody(
    writer: Writer[str], transactions: Transactions, hold: Callable[[], asyncio.Task[object]]
) -> None:
    gone, stays = hold(), asyncio.ensure_future(writer.write("stays"))
    await _until_in_line(writer, 2)
    gone.cancel()
    transactions.gate.set()
    assert await stays == "STAYS"
    assert transactions.stored == ["first", "second", "stays"]


async def test_at_the_bound_a_soon_write_waits_for_a_commit(
    writer: Writer[str],
    transactions: Transactions,
    failures: Failures,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writer_module, "SOON_MAX", 3)
    transactions.gate.clear()
    # The caller is held, so the gate must open from the thread it waits for.
    settled = writer._settled
    monkeypatch.setattr(writer, "_settled", _OpensGate(transactions.gate, settled))
    for i in range(10):
        writer.write_soon(f"s{i}")
    await writer.close()
    assert transactions.stored == [f"s{i}" for i in range(10)]
    assert failures == []


class _OpensGate:
    def __init__(self, gate: threading.Event, settled: threading.Event) -> None:
        self._gate = gate
        self._settled = settled
        self.set = settled.set
        self.clear = settled.clear

    def wait(self, timeout: float) -> bool:
        self._gate.set()
        return self._settled.wait(timeout)


async def test_at_the_bound_of_a_stuck_line_a_soon_write_is_given_up_and_told(
    writer: Writer[str],
    transactions: Transactions,
    failures: Failures,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writer_module, "SOON_MAX", 2)
    transactions.faults["s0"] = StorageFull()
    writer.write_soon("s0")
    with pytest.raises(StorageFull):
        await writer.write("proves the line is stuck")
    writer.write_soon("s1")
    writer.write_soon("s2")
    assert "given up" in str(await failures.first())
    transactions.faults.clear()
    await writer.close()
    assert transactions.stored == ["s0", "s1"]


async def test_close_stores_everything_in_line_and_ends_the_thread(
    writer: Writer[str], transactions: Transactions
) -> None:
    for i in range(1000):
        writer.write_soon(str(i))
    await writer.close()
    await writer.close()
    assert transactions.stored == [str(i) for i in range(1000)]
    assert "store-writer" not in {thread.name for thread in threading.enumerate()}


async def test_close_ends_although_the_disk_stays_full(
    writer: Writer[str], transactions: Transactions, failures: Failures
) -> None:
    transactions.faults["soon"] = StorageFull()
    writer.write_soon("soon")
    with pytest.raises(StorageFull):
        await writer.write("waited")
    await asyncio.wait_for(writer.close(), PATIENCE_S)
    assert "was lost" in str(await failures.first())
    assert len(transactions.batches) <= 4 + 2 * CLOSE_TRIES_MAX


async def test_after_close_nothing_is_taken(writer: Writer[str]) -> None:
    await writer.close()
    with pytest.raises(InternalError, match="closed"):
        await writer.write("late")
    with pytest.raises(InternalError, match="closed"):
        writer.write_soon("late")


async def _until_in_line(writer: Writer[str], count: int) -> None:
    """Let the callers' tasks reach the line: each does in its first step."""
    await asyncio.sleep(0)
    assert writer._line.qsize() == count
