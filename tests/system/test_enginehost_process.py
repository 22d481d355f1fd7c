"""The host as a process of its own, against a gateway that keeps, loses and breaks what it likes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import psutil
import pytest

from ujes.enginehost.evidence import read_outbox, read_running
from ujes.enginehost.order import HostOrder
from ujes.link.messages import (
    Accepted,
    Ack,
    Ended,
    FromHost,
    Interrupt,
    Leaving,
    Lines,
    Opened,
    OpenFailed,
    Progress,
    Stop,
)
from ujes.testing.peer import Peer
from ujes.testing.scripted import SCRIPTED
from ujes.testing.signals import PATIENCE_S, SignalBoard

_MAIN = """
import sys, msgspec
from ujes.enginehost import hostlog
from ujes.enginehost.host import Host
from ujes.enginehost.order import HostOrder, make_engine
from ujes.link.address import dial
order = msgspec.json.decode(sys.stdin.buffer.read(), type=HostOrder)
hostlog.begin()
sys.exit(Host(order, lambda: make_engine(order, {}), lambda: dial(order.gateway_address, 5)).live())
"""

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="ujes-host-") as name:
        yield Path(name)


@pytest.fixture
def board() -> Iterator[SignalBoard]:
    with SignalBoard() as board:
        yield board


@pytest.fixture
def peer(folder: Path) -> Iterator[Peer]:
    with Peer(folder / "link.sock") as peer:
        yield peer


@pytest.fixture
def start(folder: Path, board: SignalBoard) -> Iterator[Start]:
    with ExitStack() as stack:

        def start(engine: str = SCRIPTED, **changes: object) -> subprocess.Popen[bytes]:
            order = HostOrder(
                tag="scripted-1",
                engine=engine,
                user="alice",
                startup={"scripted.board": str(board.path)},
                work_dir=str(folder),
                roots=[],
                gateway_address=f"unix://{folder}/link.sock",
                token="secret",
                orphan_timeout_s=60,
                log_bytes_max=64 * 1024 * 1024,
            )
            process = subprocess.Popen([sys.executable, "-c", _MAIN], stdin=subprocess.PIPE)
            stack.callback(_end, process)
            assert process.stdin is not None
            process.stdin.write(msgspec.json.encode(msgspec.structs.replace(order, **changes)))
            process.stdin.close()
            return process

        yield start


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait()


def _texts(peer: Peer, job: int) -> list[str]:
    return [line.split(" INFO ", 1)[-1] for line in peer.lines.get(job, [])]


def test_a_job_from_hello_to_forget(start: Start, peer: Peer, folder: Path) -> None:
    start()
    peer.wait_for(Opened)
    peer.run(
        7, "log hi\nrows 10\nenv WHO\n---\ntext foo\nfail 12 bad\n---\nlog never", folder / "r", WHO="alice"
    )
    assert peer.wait_ended(7) == Ended(job=7, outcome="failed", code=12, text="bad")
    assert _texts(peer, 7) == [
        "scripted-1 >> log hi",
        "rows 10",
        "env WHO",
        "hi",
        "WHO=alice",
        "scripted-1 >> text foo",
        "fail 12 bad",
    ]
    assert [(each.kind, each.rows) for each in peer.results[7].values()] == [("table", 10), ("text", 1)]
    assert all(Path(each.path).is_file() for each in peer.results[7].values())
    assert not peer.faults


def test_evidence_is_there_while_a_job_is_not_forgotten(start: Start, peer: Peer, folder: Path) -> None:
    peer.forgets = False
    seen: list[tuple[int, ...]] = []
    peer.accepts = lambda frame: not isinstance(frame, Accepted) or seen.append(read_running(folder)) is None
    host = start()
    peer.wait_for(Opened)
    peer.run(7, "log hi", folder / "r")
    peer.wait_ended(7)
    assert seen == [(7,)]
    assert read_running(folder) == (7,)
    peer.forgets = True
    peer.send(Stop(reason="enough"))
    assert host.wait(PATIENCE_S) == 0
    assert Ended(job=7, outcome="succeed") in read_outbox(folder)


def test_stop_of_a_host_with_nothing_to_tell_is_clean(start: Start, peer: Peer, folder: Path) -> None:
    host = start()
    peer.wait_for(Opened)
    peer.run(7, "log hi", folder / "r")
    peer.wait_ended(7)
    peer.send(Stop(reason="enough"))
    assert host.wait(PATIENCE_S) == 0
    peer.wait_for(Leaving)
    assert read_running(folder) == ()
    assert read_outbox(folder) == []


@pytest.mark.parametrize("code", ["wait for-ever", "busy", "spawn\nwait for-ever", "flood 1000000"])
def test_an_interrupt_ends_the_job_and_the_session_lives_on(
    start: Start, peer: Peer, folder: Path, board: SignalBoard, code: str
) -> None:
    host = start()
    peer.wait_for(Opened)
    peer.run(1, f"reach begun\n{code}", folder / "r")
    board.wait_reached("begun")
    peer.send(Interrupt(job=99))
    peer.send(Interrupt(job=1))
    assert peer.wait_ended(1).outcome == "cancelled"
    assert psutil.Process(host.pid).children(recursive=True) == []
    peer.run(2, "log again", folder / "r")
    assert peer.wait_ended(2).outcome == "succeed"


def test_an_interrupt_before_the_run_began_cancels_it(
    start: Start, peer: Peer, folder: Path, board: SignalBoard
) -> None:
    start("ujes.testing.scripted:OpensSlowly")
    peer.wait(lambda peer: peer.hellos)
    peer.run(1, "log never", folder / "r")
    peer.send(Interrupt(job=1))
    board.release("open")
    assert peer.wait_ended(1).outcome == "cancelled"
    assert not (folder / "r" / "_0.arrow").exists()


def test_an_interrupt_frees_a_job_that_waits_for_room(
    start: Start, peer: Peer, folder: Path, board: SignalBoard
) -> None:
    peer.acks = False
    start()
    peer.wait_for(Opened)
    peer.run(1, "reach begun\nflood 1000000", folder / "r")
    board.wait_reached("begun")
    peer.wait(lambda peer: len(peer.lines.get(1, [])) > 50_000)
    peer.send(Interrupt(job=1))
    assert peer.wait_ended(1).outcome == "cancelled"


def test_a_flood_with_slow_acks_is_whole_and_bounded(start: Start, peer: Peer, folder: Path) -> None:
    """What is not acknowledged fills 8 MiB at most; the whole flood takes three times that."""
    peer.acks = False
    host = start()
    peer.wait_for(Opened)
    before = psutil.Process(host.pid).memory_info().rss
    peer.run(1, "flood 250000", folder / "r")
    while 1 not in peer.ended:
        had = len(peer.lines.get(1, []))
        peer.wait(lambda peer, had=had: 1 in peer.ended or len(peer.lines.get(1, [])) > had)  # type: ignore[misc]
        peer.send(Ack(job=1, next_line=len(peer.lines[1]) + 1))
    assert peer.lines[1][1:] == [f"line {number} of the flood" for number in range(250_000)]
    grown = psutil.Process(host.pid).memory_info().rss - before if host.poll() is None else 0
    assert grown < 60 * 1024 * 1024
    assert not peer.faults


@pytest.mark.parametrize("seed", range(3))
def test_lines_arrive_once_however_often_the_link_breaks(
    start: Start, peer: Peer, folder: Path, seed: int
) -> None:
    """The gateway breaks the link twenty times, at random frames, keeping or losing its acks."""
    dice = random.Random(seed)
    breaks = [20]

    def accepts(frame: FromHost) -> bool:
        peer.acks = dice.random() < 0.5
        if breaks[0] and isinstance(frame, (Lines, Accepted)) and dice.random() < 0.3:
            breaks[0] -= 1
            return False
        return True

    start()
    peer.wait_for(Opened)
    peer.accepts = accepts
    peer.run(1, "rows 5\nflood 60000\nrows 5", folder / "r")
    assert peer.wait_ended(1).outcome == "succeed"
    assert peer.lines[1][3:] == [f"line {number} of the flood" for number in range(60_000)]
    assert sorted(peer.results[1]) == [0, 1]
    assert not peer.faults


def test_a_host_outlives_its_gateway(start: Start, peer: Peer, folder: Path, board: SignalBoard) -> None:
    start()
    peer.wait_for(Opened)
    peer.run(1, "log before\nreach begun\nwait go\nlog after", folder / "r")
    board.wait_reached("begun")
    peer.hang_up()
    board.release("go")
    peer.listen()
    assert peer.wait_ended(1).outcome == "succeed"
    assert _texts(peer, 1)[-2:] == ["before", "after"]
    assert peer.hellos[-1].phase == "open"
    assert [each.job for each in peer.hellos[-1].jobs] == [1]


def test_an_orphan_leaves_its_words_in_the_outbox(
    start: Start, peer: Peer, folder: Path, board: SignalBoard
) -> None:
    host = start(orphan_timeout_s=0.2)
    peer.wait_for(Opened)
    peer.run(1, "reach begun\nwait go\nlog after", folder / "r")
    board.wait_reached("begun")
    peer.hang_up()
    board.release("go")
    assert host.wait(PATIENCE_S) == 0
    frames = read_outbox(folder)
    assert frames[-1] == Ended(job=1, outcome="succeed")
    assert any(isinstance(frame, Lines) and frame.lines[-1].endswith("INFO after") for frame in frames)
    assert read_running(folder) == (1,)


def test_a_host_that_is_refused_leaves(start: Start, peer: Peer) -> None:
    peer.welcomes = False
    host = start()
    assert host.wait(PATIENCE_S) == 0
    assert 5 <= len(peer.hellos) <= 20


def test_sigterm_is_a_stop(start: Start, peer: Peer, folder: Path, board: SignalBoard) -> None:
    host = start()
    peer.wait_for(Opened)
    peer.run(1, "reach begun\nwait for-ever", folder / "r")
    board.wait_reached("begun")
    os.kill(host.pid, signal.SIGTERM)
    ended = peer.wait_ended(1)
    assert ended.outcome == "failed"  # nobody killed the job
    assert "SIGTERM" in (ended.text or "")
    assert host.wait(PATIENCE_S) == 0


@pytest.mark.parametrize(
    ("engine", "code", "part"),
    [
        ("ujes.testing.scripted:FailsToOpen", 60010, "told not to open"),
        ("ujes.testing.scripted:BreaksAtOpen", 20039, "RuntimeError: a mistake in open"),
        ("ujes.testing.scripted:Nothing", 20009, "no engine class"),
        ("no.such.module:Engine", 20009, "cannot be loaded"),
        ("nothing", 20009, "no engine 'nothing'"),
    ],
)
def test_an_engine_that_does_not_open_is_told_and_the_host_leaves(
    start: Start, peer: Peer, engine: str, code: int, part: str
) -> None:
    host = start(engine)
    peer.wait_for(OpenFailed)
    (failure,) = [frame for frame in peer.frames if isinstance(frame, OpenFailed)]
    assert failure.code == code
    assert part in failure.text
    assert host.wait(PATIENCE_S) == 1


@pytest.mark.parametrize(
    ("code", "number", "part"),
    [
        ("raise a mistake", 20039, "RuntimeError: a mistake"),
        ("no-space", 20052, "no space left"),
        ("nonsense", 60001, "no command 'nonsense'"),
    ],
)
def test_failures_of_a_job(start: Start, peer: Peer, folder: Path, code: str, number: int, part: str) -> None:
    start()
    peer.wait_for(Opened)
    peer.run(1, code, folder / "r")
    ended = peer.wait_ended(1)
    assert (ended.outcome, ended.code) == ("failed", number)
    assert ended.text is not None
    assert part in ended.text


def test_a_log_that_is_too_long_is_cut_with_one_notice_and_results_go_on(
    start: Start, peer: Peer, folder: Path
) -> None:
    start(log_bytes_max=10_000)
    peer.wait_for(Opened)
    peer.run(1, "flood 10000\nrows 3", folder / "r")
    assert peer.wait_ended(1).outcome == "succeed"
    assert sum("longer than 10000 bytes" in line for line in peer.lines[1]) == 1
    assert "longer than 10000 bytes" in peer.lines[1][-1]
    assert sum(map(len, peer.lines[1])) < 11_000
    assert list(peer.results[1]) == [0]


def test_progress_counts_statements_and_what_the_engine_says(
    start: Start, peer: Peer, folder: Path, board: SignalBoard
) -> None:
    start()
    peer.wait_for(Opened)
    peer.run(1, "log a\n---\nprogress 0.5\nwait go", folder / "r")
    peer.wait(lambda peer: Progress(job=1, value=0.75) in peer.frames)
    board.release("go")
    peer.wait_ended(1)


def test_a_broken_frame_breaks_the_link_and_not_the_host(start: Start, peer: Peer, folder: Path) -> None:
    start()
    peer.wait_for(Opened)
    peer.run(1, "broken-frame\nlog on", folder / "r")
    assert peer.wait_ended(1).outcome == "succeed"
    assert _texts(peer, 1)[-1] == "on"
    assert any("longer than" in fault for fault in peer.faults)


def test_a_second_job_at_once_is_refused(start: Start, peer: Peer, folder: Path, board: SignalBoard) -> None:
    start()
    peer.wait_for(Opened)
    peer.run(1, "wait go", folder / "r")
    board.wait_reached("go")
    peer.run(1, "log the same again", folder / "r")
    peer.run(2, "log other", folder / "r")
    assert peer.wait_ended(2).outcome == "failed"
    board.release("go")
    assert peer.wait_ended(1).outcome == "succeed"


def test_a_host_whose_folder_is_gone_leaves_and_takes_no_job(
    start: Start, peer: Peer, folder: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    host = start(work_dir=str(own))
    peer.wait_for(Opened)
    own.rmdir()
    peer.run(1, "text never", folder / "r")
    assert host.wait(PATIENCE_S) == 0
    assert not any(isinstance(frame, (Accepted, Ended)) for frame in peer.frames)
