"""Logs by line number: nothing twice, nothing missing, across repetitions, crashes and evictions."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ujes.core.errors import StorageFull
from ujes.core.job import Job, JobRequest, JobState
from ujes.gateway.jobs import logs as logs_module
from ujes.gateway.jobs.logs import Logs, entry

LINE = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=30)


def a_job(number: int = 1, state: JobState = JobState.RUNNING) -> Job:
    request = JobRequest(submitter="a", run_as="a", creator="IDE", engine="duckdb", run_type="sql", code="1")
    return Job(id=number, request=request, created_at_ms=0, updated_at_ms=0, state=state)


def how_many_files(folder: Path) -> int:
    return len(list(folder.iterdir()))


def logs_in(folder: Path) -> Logs:
    return Logs(lambda job: folder / f"{job.id}.log")


async def read_all(logs: Logs, job: Job, step: int = 100) -> list[str]:
    lines: list[str] = []
    first = 1
    while (part := await logs.read(job, first, step)).lines:
        lines += part.lines
        first = part.next_line
    return lines


async def test_a_log_nobody_wrote_is_empty(tmp_path: Path) -> None:
    part = await logs_in(tmp_path).read(a_job(), 1, 10)
    assert (part.lines, part.next_line) == ((), 1)


async def test_lines_are_numbered_from_one(tmp_path: Path) -> None:
    logs, job = logs_in(tmp_path), a_job()
    logs.append(job, ["a", "b", "c"])
    assert (await logs.read(job, 0, 2)).lines == ("a", "b")
    assert (await logs.read(job, 3, 10)).lines == ("c",)
    assert (await logs.read(job, 4, 10)).lines == ()
    assert logs.last(job) == "c"


@given(
    said=st.lists(LINE, min_size=1, max_size=20),
    stretches=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), st.booleans()), max_size=8),
)
async def test_a_host_may_repeat_itself(
    tmp_path_factory: pytest.TempPathFactory, said: list[str], stretches: list[tuple[int, int, bool]]
) -> None:
    """Whatever stretch a host sends again, and whenever the gateway restarts, each line is there once."""
    folder = tmp_path_factory.mktemp("log")
    logs, job = logs_in(folder), a_job()
    logs.append(job, ["accepted"])
    needed = 2
    for start, length, is_restart in [*stretches, (len(said), len(said), False)]:
        begin = min(start, needed - 2)
        needed = logs.keep(job, begin + 2, said[begin : begin + length])
        if is_restart:
            logs = logs_in(folder)
        assert logs.next_line(job) == needed
    assert await read_all(logs, job, 7) == ["accepted", *said]


async def test_first_lines_are_held_back_until_somebody_wants_them(tmp_path: Path) -> None:
    logs, job = logs_in(tmp_path), a_job()
    logs.begin(job, ["accepted", "code"])
    assert not (tmp_path / "1.log").exists()
    assert (await logs.read(job, 1, 9)).lines == ("accepted", "code")
    assert (tmp_path / "1.log").read_text() == "accepted\ncode\n"
    other = a_job(2)
    logs.begin(other, ["accepted"])
    assert logs.next_line(other) == 2
    third = a_job(3)
    logs.begin(third, ["accepted"])
    logs.append(third, ["more"])
    logs.settle(third)
    assert (tmp_path / "3.log").read_text() == "accepted\nmore\n"


async def test_only_so_many_first_lines_are_held_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs_module, "BEGUN_CHARS_MAX", 12)
    logs = logs_in(tmp_path)
    for number in range(5):
        logs.begin(a_job(number), [f"job {number}"])
    assert how_many_files(tmp_path) == 3
    for number in range(5):
        assert (await logs.read(a_job(number), 1, 9)).lines == (f"job {number}",)


async def test_first_lines_that_cannot_be_written_are_still_held(tmp_path: Path) -> None:
    logs, job = logs_in(tmp_path), a_job()
    logs.begin(job, ["accepted"])
    (tmp_path / "1.log").symlink_to("/dev/full")
    with pytest.raises(StorageFull):
        await logs.read(job, 1, 9)
    (tmp_path / "1.log").unlink()
    assert (await logs.read(job, 1, 9)).lines == ("accepted",)


async def test_a_gap_is_refused(tmp_path: Path) -> None:
    logs, job = logs_in(tmp_path), a_job()
    with pytest.raises(ValueError, match="lines 1 to 2 are missing"):
        logs.keep(job, 3, ["late"])


async def test_a_line_cut_off_by_a_crash_is_cut_away(tmp_path: Path) -> None:
    job = a_job()
    logs_in(tmp_path).append(job, ["whole"])
    with (tmp_path / "1.log").open("a") as file:
        file.write("half a li")
    logs = logs_in(tmp_path)
    assert logs.next_line(job) == 2
    logs.append(job, ["next"])
    assert (tmp_path / "1.log").read_text() == "whole\nnext\n"


async def test_long_logs_are_read_from_anywhere(tmp_path: Path) -> None:
    logs, job = logs_in(tmp_path), a_job()
    lines = [f"line {number} " + "x" * (number % 50) for number in range(20_000)]
    for start in range(0, len(lines), 999):
        logs.append(job, lines[start : start + 999])
    for first in (1, 255, 256, 257, 9_999, 19_990):
        part = await logs.read(job, first, 20)
        assert list(part.lines) == lines[first - 1 : first + 19]
    assert await read_all(logs, a_job(state=JobState.SUCCEED), 5000) == lines


async def test_forgotten_logs_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs_module, "OPEN_LOGS_MAX", 3)
    logs = logs_in(tmp_path)
    for number in range(10):
        logs.append(a_job(number), [f"first of {number}"])
    for number in range(10):
        logs.append(a_job(number), [f"second of {number}"])
        assert (await logs.read(a_job(number), 1, 9)).lines == (f"first of {number}", f"second of {number}")


async def test_what_could_not_be_written_is_not_there(tmp_path: Path) -> None:
    logs, job = logs_in(tmp_path), a_job()
    logs.append(job, ["kept"])
    (tmp_path / "1.log").unlink()
    (tmp_path / "1.log").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        logs.append(job, ["lost"])
    assert (await logs.read(job, 1, 9)).lines == ("kept",)


def test_an_entry_has_time_and_level_on_its_first_line_only() -> None:
    lines = entry("what\nand why", "ERROR", 1_700_000_000_007)
    assert lines[0].endswith(".007 ERROR what")
    assert lines[1:] == ["and why"]
