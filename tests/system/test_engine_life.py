"""Engines that fail in every way, reuse, idle exit, eviction, spares, limits of processes and of queues."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.scripted import install
from tests.support.served import Served, served
from tests.support.waiting import until
from ujes.testing.signals import SignalBoard


@pytest.fixture(scope="module")
def board() -> Iterator[SignalBoard]:
    with SignalBoard() as one:
        yield one


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory, board: SignalBoard) -> Iterator[Served]:
    """A gateway with the scripted engines, quick to give up."""
    environment = install(tmp_path_factory.mktemp("site"))
    quick = {"UJES_ENGINES__START_TIMEOUT_S": "1.5", "UJES_LIMITS__QUEUED_PER_QUEUE": "20"}
    with served(tmp_path_factory.mktemp("g"), **environment, **quick) as one:
        yield one


def submit(gateway: Served, board: SignalBoard, code: str, engine: str = "scripted", **given: Any) -> int:
    startup = {"scripted.board": str(board.path)} | given.pop("startup", {})
    params = {"configuration": {"startup": startup}}
    return gateway.submit(engine, code, run_type="script", params=params, **given)


def log_of(gateway: Served, job: int) -> str:
    return "\n".join(gateway.log(job))


# --- engines that fail ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        ("failsopen", "told not to open"),
        ("breaksopen", "a mistake in open"),
        ("diesopen", "exit status 3"),
        ("hangsopen", "not ready within 1.5 s"),
    ],
)
def test_an_engine_that_does_not_start(scripted: Served, board: SignalBoard, engine: str, said: str) -> None:
    job = submit(scripted, board, "log hi", engine)
    task = scripted.wait_for(job, "Failed")
    assert said in task["errDesc"]
    assert "Traceback" not in task["errDesc"]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("log before\ncrash 7", "exit status 7"),
        ("kill9", "signal 9"),
        ("fail 60002 it went wrong", "it went wrong"),
        ("raise a mistake of ours", "a mistake of ours"),
        ("no-space", "no space left"),
        ("nonsense", "no command"),
    ],
)
def test_a_job_whose_engine_fails(scripted: Served, board: SignalBoard, code: str, said: str) -> None:
    job = submit(scripted, board, code)
    task = scripted.wait_for(job, "Failed")
    assert said in task["errDesc"]
    again = submit(scripted, board, "text fine")
    scripted.wait_for(again, "Succeed")
    assert scripted.rows(again) == [["fine"]]


def test_a_broken_frame_costs_the_link_and_not_the_job(scripted: Served, board: SignalBoard) -> None:
    job = submit(scripted, board, "line one\nbroken-frame\nline two\ntext still here")
    scripted.wait_for(job, "Succeed")
    assert [line for line in scripted.log(job) if line in ("one", "two")] == ["one", "two"]
    assert scripted.rows(job) == [["still here"]]


def test_a_flood_of_log_lines_is_whole(scripted: Served, board: SignalBoard) -> None:
    job = submit(scripted, board, "flood 50000")
    scripted.wait_for(job, "Succeed")
    flood = [line for line in scripted.log(job) if line.endswith("of the flood")]
    assert flood == [f"line {number} of the flood" for number in range(50_000)]


def test_kill_while_the_engine_starts_cancels_the_start(scripted: Served, board: SignalBoard) -> None:
    job = submit(scripted, board, "log hi", "hangsopen", creator="killstart")
    board.wait_reached("opening")
    assert scripted.kill_job(job)["status"] == 0
    scripted.wait_for(job, "Cancelled")
    until(lambda: not instances(scripted, "hangsopen"), "the start is undone")


def test_an_engine_that_ignores_the_kill_is_ended(scripted: Served, board: SignalBoard) -> None:
    job = submit(scripted, board, "spawn\nreach hanging\nhang", creator="hang")
    board.wait_reached("hanging")
    scripted.kill_job(job)
    scripted.wait_for(job, "Cancelled")
    assert not instances(scripted, "scripted-hang")


def instances(gateway: Served, name: str) -> list[str]:
    """Work folders of live instances of an engine."""
    return [entry.name for entry in (gateway.home / "engines").iterdir() if entry.name.startswith(name)]


def test_an_engine_whose_folder_was_removed_is_replaced(scripted: Served, board: SignalBoard) -> None:
    before = submit(scripted, board, "pid", creator="folder")
    tag = scripted.wait_for(before, "Succeed")["engineInstance"]
    shutil.rmtree(scripted.home / "engines" / tag)
    after = submit(scripted, board, "pid", creator="folder")
    assert scripted.wait_for(after, "Succeed")["engineInstance"] != tag


def test_a_removed_socket_is_made_anew(home: Path, tmp_path: Path, board: SignalBoard) -> None:
    with served(home, **install(tmp_path / "site")) as gateway:
        for creator in ("one", "two"):
            (gateway.home / "run" / "link.sock").unlink()
            gateway.wait_for(submit(gateway, board, "pid", creator=creator), "Succeed")


def test_engines_leave_in_time_also_while_others_are_busy(scripted: Served, board: SignalBoard) -> None:
    """What only time makes due must not wait for a moment in which nothing happens."""
    startup = {"wds.linkis.engineconn.max.free.time": "1s"}
    job = submit(scripted, board, "pid", creator="leaves", startup=startup)
    tag = scripted.wait_for(job, "Succeed")["engineInstance"]

    def has_left() -> bool:
        scripted.wait_for(submit(scripted, board, "text busy", creator="busy"), "Succeed")
        return not instances(scripted, tag)

    until(has_left, "the idle engine has left", timeout_s=20)


# --- waiting, and why -----------------------------------------------------------------------------


def test_a_job_says_why_it_waits(scripted: Served, board: SignalBoard) -> None:
    first = submit(scripted, board, "text late", "slowopen", creator="why")
    until(lambda: "slowopen engine is starting" in log_of(scripted, first), "the reason is in the log")
    second = submit(scripted, board, "text later", "slowopen", creator="why")
    assert "queued behind 1 job" in log_of(scripted, second)
    board.release("open")
    scripted.wait_for(first, "Succeed")
    scripted.wait_for(second, "Succeed")


def test_the_running_limit_is_exact_and_in_order(home: Path, tmp_path: Path, board: SignalBoard) -> None:
    with served(home, **install(tmp_path / "site"), UJES_LIMITS__RUNNING_PER_QUEUE="2") as gateway:
        jobs = [submit(gateway, board, f"reach exact{n}\nwait exact-go{n}") for n in range(4)]
        board.wait_reached("exact0")
        board.wait_reached("exact1")
        assert [gateway.status(job) for job in jobs] == ["Running", "Running", "Inited", "Inited"]
        assert "2 of 2" in log_of(gateway, jobs[2])
        assert "queued behind" in log_of(gateway, jobs[3])
        board.release("exact-go0")
        gateway.wait_for(jobs[0], "Succeed")
        board.wait_reached("exact2")
        assert [gateway.status(job) for job in jobs[1:]] == ["Running", "Running", "Inited"]
        for n in (1, 2, 3):
            board.release(f"exact-go{n}")
        for job in jobs:
            gateway.wait_for(job, "Succeed")


def test_a_full_queue_refuses_with_12001(scripted: Served, board: SignalBoard) -> None:
    jobs = [submit(scripted, board, "wait queue-go", creator="full") for _ in range(10)]
    for job in jobs:
        scripted.wait_for(job, "Running")
    jobs += [submit(scripted, board, "text queued", creator="full") for _ in range(20)]
    labels = {"engineType": "scripted", "userCreator": "admin-full"}
    body = {"executionContent": {"code": "text no", "runType": "script"}, "labels": labels}
    envelope = scripted.call("POST", "/entrance/submit", json=body)
    assert envelope["data"]["errorMsg"]["errCode"] == 12001
    assert "queue is full" in envelope["message"]
    other = submit(scripted, board, "text other", creator="other")
    scripted.wait_for(other, "Succeed")
    board.release("queue-go")
    for job in jobs:
        scripted.wait_for(job, "Succeed")


def test_progress_moves_within_its_band(scripted: Served, board: SignalBoard) -> None:
    job = submit(scripted, board, "progress 0.5\nreach half\nwait progress-go\n---\ntext done")
    board.wait_reached("half")
    path = f"/entrance/{job}/progress"
    until(lambda: scripted.data("GET", path)["progress"] == 0.25, "a half of the first of two statements")
    board.release("progress-go")
    scripted.wait_for(job, "Succeed")
    assert scripted.data("GET", path)["progress"] == 1.0


# --- reuse, leaving, room -------------------------------------------------------------------------


def test_engines_are_reused_per_user_creator_and_engine(scripted: Served, board: SignalBoard) -> None:
    def instance_of(creator: str, user: str) -> str:
        job = submit(scripted, board, "pid", creator=creator, user=user)
        return str(scripted.wait_for(job, "Succeed", user=user)["engineInstance"])

    one = instance_of("reuse", "ann")
    assert instance_of("reuse", "ann") == one
    assert instance_of("another", "ann") != one
    assert instance_of("reuse", "ben") != one


def test_an_idle_engine_leaves_after_its_own_time(scripted: Served, board: SignalBoard) -> None:
    startup = {"wds.linkis.engineconn.max.free.time": "1s"}
    job = submit(scripted, board, "pid", creator="idle", startup=startup)
    instance = scripted.wait_for(job, "Succeed")["engineInstance"]
    until(lambda: not instances(scripted, instance), "the idle engine has left")


def test_a_full_node_gives_the_place_of_an_idle_engine(
    home: Path, tmp_path: Path, board: SignalBoard
) -> None:
    with served(home, **install(tmp_path / "site"), UJES_LIMITS__INSTANCES="2") as gateway:
        for creator in ("a", "b", "c", "d"):
            gateway.wait_for(submit(gateway, board, "pid", creator=creator), "Succeed")
        assert len(instances(gateway, "scripted")) <= 2


def test_spares_are_kept_ready(home: Path, tmp_path: Path, board: SignalBoard) -> None:
    spares = '{"admin/IDE/scripted": 2}'
    with served(home, **install(tmp_path / "site"), UJES_ENGINES__PREWARM=spares) as gateway:
        until(lambda: sum('"idle"' in line for line in gateway.output) == 2, "two spares are ready")
        job = submit(gateway, board, "text from a spare")
        gateway.wait_for(job, "Succeed")
        assert "engine is starting" not in log_of(gateway, job)


def test_process_limits_hold(home: Path) -> None:
    limits = '{"python": {"memory_bytes": 2147483648, "open_files": 64}}'
    with served(home, UJES_ENGINES__EACH=limits) as gateway:
        code = "import resource\nprint(resource.getrlimit(resource.RLIMIT_NOFILE)[0])\nx = bytearray(4 << 30)"
        job = gateway.submit("python", code)
        task = gateway.wait_for(job, "Failed")
        assert "MemoryError" in task["errDesc"]
        assert gateway.rows(job) == [["64"]]


def test_a_process_that_used_its_cpu_time_is_ended_and_says_so(home: Path) -> None:
    with served(home, UJES_ENGINES__EACH='{"python": {"cpu_s": 2}}') as gateway:
        job = gateway.submit("python", "while True: pass")
        task = gateway.wait_for(job, "Failed")
        assert "SIGXCPU" in task["errDesc"]
        again = gateway.submit("python", "print('a fresh engine')")
        gateway.wait_for(again, "Succeed")
