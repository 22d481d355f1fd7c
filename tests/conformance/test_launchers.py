"""What a launcher is. Every launcher passes this suite; today there is one."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest

from ujes.launchers.launcher import LaunchError, LaunchOrder, ProcessLimits, StopTimes
from ujes.launchers.local import ending, kin
from ujes.launchers.local.handle import Handle, from_text
from ujes.launchers.local.local import LocalLauncher
from ujes.link.messages import Interrupt, Opened
from ujes.testing.peer import Peer
from ujes.testing.scripted import SCRIPTED
from ujes.testing.signals import SignalBoard

TAG = "scripted-7f3a"
TIMES = StopTimes(interrupt_s=0.2, terminate_s=0.2, kill_s=10.0)


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ujes-launch-") as name:
        yield Path(name)


@pytest.fixture
def board() -> Iterator[SignalBoard]:
    with SignalBoard() as board:
        yield board


@pytest.fixture
def peer(home: Path) -> Iterator[Peer]:
    with Peer(home / "link.sock") as peer:
        yield peer


@pytest.fixture
async def launcher(home: Path) -> AsyncIterator[LocalLauncher]:
    """Whatever a test leaves is ended, and nothing may be left then."""
    launcher = LocalLauncher(home / "engines")
    yield launcher
    await launcher.stop(TAG, None, TIMES)
    await launcher.close()
    assert kin.members(TAG, Handle()) == []


@pytest.fixture
def order(home: Path, board: SignalBoard) -> LaunchOrder:
    return LaunchOrder(
        tag=TAG,
        engine=SCRIPTED,
        user="alice",
        startup={"scripted.board": str(board.path)},
        work_dir=home / "engines" / TAG,
        roots=(home,),
        gateway_address=f"unix://{home}/link.sock",
        token="secret-token",
        env={"COLOUR": "blue"},
        limits=ProcessLimits(open_files=200),
        orphan_timeout_s=60.0,
        log_bytes_max=1_000_000,
    )


def _changed(order: LaunchOrder, **changes: object) -> LaunchOrder:
    names = LaunchOrder.__dataclass_fields__
    return LaunchOrder(**{name: getattr(order, name) for name in names} | changes)


async def _launch(launcher: LocalLauncher, order: LaunchOrder) -> str:
    handles = [handle async for handle in launcher.launch(order)]
    assert len(handles) == 1
    return handles[-1]


async def _open(launcher: LocalLauncher, order: LaunchOrder, peer: Peer) -> str:
    handle = await _launch(launcher, order)
    peer.wait_for(Opened)
    return handle


def _started(peer: Peer, word: str) -> int:
    """The number of a process that the job's log names."""
    (line,) = [line for line in peer.lines[1] if f" INFO {word} " in line]
    return int(line.rsplit(" ", 1)[1])


def _shown(pid: int) -> bytes:
    """What other processes of the user can read of a process."""
    folder = Path(f"/proc/{pid}")
    return (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()


def _entries(pid: int, what: str) -> list[Path]:
    return list(Path(f"/proc/{pid}/{what}").iterdir())


async def test_an_instance_lives_is_found_and_stops(
    launcher: LocalLauncher, order: LaunchOrder, peer: Peer
) -> None:
    handle = await _open(launcher, order, peer)
    assert peer.hellos[0].token == "secret-token"
    assert await launcher.check(TAG, handle) is None
    assert await launcher.check(TAG, None) is None
    assert await launcher.find(TAG) == handle
    await launcher.stop(TAG, handle, TIMES)
    assert await launcher.find(TAG) is None
    assert "exit status 0" in (await launcher.check(TAG, handle) or "")
    await launcher.stop(TAG, handle, TIMES)
    assert "SIGTERM" in ending.log_tail(order.work_dir)


async def test_what_never_was_is_not_found(launcher: LocalLauncher) -> None:
    assert await launcher.find("nobody") is None
    assert await launcher.check("nobody", None) == "was never started"
    await launcher.stop("nobody", None, TIMES)


async def test_the_world_of_an_instance(
    launcher: LocalLauncher, order: LaunchOrder, peer: Peer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UJES_DATABASE", "postgresql://u:p@h/d")
    monkeypatch.setenv("SOME_API_KEY", "hush")
    monkeypatch.setenv("MIRROR", "https://me:hush@example.org/")
    monkeypatch.setenv("PLAIN", "yes")
    handle = await _open(launcher, order, peer)
    names = [
        "UJES_DATABASE",
        "SOME_API_KEY",
        "MIRROR",
        "PLAIN",
        "COLOUR",
        "HOME",
        "USER",
        "UJES_INSTANCE",
        "TMPDIR",
    ]
    peer.run(1, "\n".join(f"env {name}" for name in names) + "\npid", home / "r")
    peer.wait_ended(1)
    seen = dict(
        line.split(" INFO ", 1)[1].split("=", 1) for line in peer.lines[1] if " INFO " in line and "=" in line
    )
    assert seen == {
        "UJES_DATABASE": "None",
        "SOME_API_KEY": "None",
        "MIRROR": "None",
        "PLAIN": "yes",
        "COLOUR": "blue",
        "HOME": str(home),
        "USER": "alice",
        "UJES_INSTANCE": TAG,
        "TMPDIR": str(order.work_dir / "tmp"),
    }
    pid = from_text(handle).pid
    assert pid is not None
    process = psutil.Process(pid)
    assert Path(process.cwd()) == order.work_dir
    assert order.work_dir.stat().st_mode & 0o777 == 0o700
    assert os.getsid(pid) == pid
    assert process.rlimit(psutil.RLIMIT_NOFILE) == (200, 200)
    world = _shown(pid)
    assert b"hush" not in world
    assert b"secret-token" not in world
    descriptors = [str(entry.readlink()) for entry in _entries(pid, "fd")]
    assert not [name for name in descriptors if "board" in name or "warm" in name]


@pytest.mark.parametrize("start", ["spawn", "daemon", "forked-daemon"])
@pytest.mark.parametrize("host_dies_first", [False, True])
async def test_stop_ends_whatever_ran_away(
    launcher: LocalLauncher, order: LaunchOrder, peer: Peer, home: Path, start: str, host_dies_first: bool
) -> None:
    handle = await _open(launcher, order, peer)
    peer.run(1, start, home / "r")
    peer.wait_ended(1)
    stray = psutil.Process(_started(peer, "child" if start == "spawn" else "daemon"))
    assert stray.is_running()
    if host_dies_first:
        host = psutil.Process(from_text(handle).pid)
        host.kill()
        host.wait(30)
        assert await launcher.find(TAG) is not None
    await launcher.stop(TAG, None, TIMES)
    assert not stray.is_running() or stray.status() == psutil.STATUS_ZOMBIE
    assert await launcher.find(TAG) is None


async def test_cancelled_means_that_even_daemons_are_gone(
    launcher: LocalLauncher, order: LaunchOrder, peer: Peer, home: Path, board: SignalBoard
) -> None:
    await _open(launcher, order, peer)
    peer.run(1, "daemon\nforked-daemon\nwait for-ever", home / "r")
    board.wait_reached("for-ever")
    peer.send(Interrupt(job=1))
    assert peer.wait_ended(1).outcome == "cancelled"
    pids = [int(line.rsplit(" ", 1)[1]) for line in peer.lines[1] if " INFO daemon " in line]
    assert len(pids) == 2
    assert not any(psutil.pid_exists(pid) for pid in pids)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("kill9", "ended by signal 9 (SIGKILL), perhaps by the system for lack of memory"),
        ("crash 3", "exit status 3: crashing as told"),
    ],
)
async def test_how_an_instance_ended_is_told(
    launcher: LocalLauncher, order: LaunchOrder, peer: Peer, home: Path, code: str, words: str
) -> None:
    handle = await _open(launcher, order, peer)
    peer.run(1, code, home / "r")
    peer.wait(lambda peer: peer.hang_ups)
    how = None
    while how is None:
        how = await launcher.check(TAG, handle)
    assert how == words


@pytest.mark.parametrize("engine", ["HangsAtOpen", "HangsAtClose", "CannotBeInterrupted"])
async def test_an_instance_that_does_not_listen_is_killed(
    launcher: LocalLauncher, order: LaunchOrder, peer: Peer, board: SignalBoard, engine: str
) -> None:
    handle = await _launch(launcher, _changed(order, engine=f"ujes.testing.scripted:{engine}"))
    if engine == "HangsAtOpen":
        board.wait_reached("opening")
    else:
        peer.wait_for(Opened)
    await launcher.stop(TAG, handle, TIMES)
    assert await launcher.check(TAG, handle) is not None


async def test_another_launcher_finds_stops_and_checks(
    launcher: LocalLauncher, order: LaunchOrder, peer: Peer, home: Path
) -> None:
    """As after a restart of the gateway: instances outlive it and its warm parent."""
    earlier = LocalLauncher(home / "engines")
    handle = await _open(earlier, order, peer)
    await earlier.close()
    assert await launcher.check(TAG, handle) is None
    assert await launcher.find(TAG) == handle
    await launcher.stop(TAG, handle, TIMES)
    assert await launcher.check(TAG, handle) is not None


async def test_a_number_that_is_somebody_elses_now_is_left_alone(launcher: LocalLauncher) -> None:
    mine = Handle(pid=os.getpid(), created=1.0, sid=os.getpid()).text()
    assert "ended" in (await launcher.check(TAG, mine) or "")
    await launcher.stop(TAG, mine, TIMES)


async def test_a_python_that_is_none_fails_the_launch(launcher: LocalLauncher, order: LaunchOrder) -> None:
    with pytest.raises(LaunchError, match="cannot be started"):
        await _launch(launcher, _changed(order, python="/no/such/python"))
    with pytest.raises(LaunchError, match="ended"):
        await _launch(launcher, _changed(order, python="/bin/false"))


async def test_a_warm_parent_that_died_is_replaced(
    launcher: LocalLauncher, order: LaunchOrder, peer: Peer
) -> None:
    await launcher.warm()
    pid = launcher.warm_pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    psutil.Process(pid).wait(30)
    handle = None
    while handle is None:
        try:
            handle = await _open(launcher, order, peer)
        except LaunchError:  # the order that notices the death may fail
            continue
    assert launcher.warm_pid() != pid


async def test_the_warm_parent_has_one_thread_and_left_nothing_out(launcher: LocalLauncher) -> None:
    left_out = await launcher.warm()
    pid = launcher.warm_pid()
    assert pid is not None
    assert len(_entries(pid, "task")) == 1
    assert not [text for text in left_out if "pyarrow" in text]
