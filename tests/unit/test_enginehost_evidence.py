"""Evidence in a work folder that is not the reader's own may be a trap."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from ujes.enginehost.evidence import left_by_host, read_outbox, read_running, write_outbox, write_running
from ujes.launchers.local.ending import log_tail
from ujes.launchers.local.handle import Handle, from_folder
from ujes.link.messages import Leaving

SECRET = "7 8.0\n"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(SECRET)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "engine"
    path.mkdir()
    return path


def test_what_was_written_is_read(folder: Path) -> None:
    write_running(folder, [3, 5])
    write_outbox(folder, [Leaving(reason="idle")])
    assert read_running(folder) == (3, 5)
    assert read_outbox(folder) == [Leaving(reason="idle")]


@pytest.mark.parametrize("text", ["²\n", "9" * 5000, "-1\n", "٣\n", "\0"])
def test_what_is_no_job_number_is_passed_over(folder: Path, text: str) -> None:
    (folder / "running").write_text(f"4\n{text}")
    assert read_running(folder) == (4,)


def test_links_are_not_followed(folder: Path, secret: Path) -> None:
    for name in ("running", "outbox", "host.pid", "host.log"):
        (folder / name).symlink_to(secret)
    with pytest.raises(OSError, match="symbolic links"):
        read_running(folder)
    with pytest.raises(OSError, match="symbolic links"):
        read_outbox(folder)
    assert from_folder(folder) == Handle()
    assert log_tail(folder) == ""


def test_a_pipe_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "running")
    with pytest.raises(OSError, match="not made by the engine"):
        read_running(folder)


@pytest.mark.accounts
def test_a_file_of_a_third_account_is_refused(folder: Path, secret: Path) -> None:
    _need_root()
    os.chown(folder, 5, 60)
    (folder / "host.log").hardlink_to(secret)
    with pytest.raises(OSError, match="not made by the engine"), left_by_host(folder / "host.log"):
        pass
    assert log_tail(folder) == ""


@pytest.mark.accounts
def test_the_number_of_a_process_counts_only_when_it_is_of_the_account(folder: Path) -> None:
    """Whoever owns the folder must not have us end processes of others, alive or dead."""
    _need_root()
    os.chown(folder, 5, 60)
    forged = folder / "host.pid"
    for pid in (os.getpid(), 2**22, -1, 10**30):
        forged.write_text(f"{pid} 0.0\n")
        os.chown(forged, 5, 60)
        assert from_folder(folder) == Handle()
    sleeper = os.posix_spawn("/bin/sleep", ["sleep", "4242"], {})
    try:
        forged.write_text(f"{sleeper} 0.0\n")
        assert from_folder(folder) == Handle()
        os.chown(folder, 0, 0)
        os.chown(forged, 0, 0)
        assert from_folder(folder).pid == sleeper
    finally:
        os.kill(sleeper, signal.SIGKILL)
        os.waitpid(sleeper, 0)


def _need_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files to other accounts")
