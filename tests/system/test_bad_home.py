"""A home that cannot be used is refused at the start, with a sentence and no traceback."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.served import Served


def refused(home: Path, *arguments: str) -> str:
    """What `ujes serve` says when it refuses to start."""
    command = [sys.executable, "-m", "ujes", "serve", "--port", "0", "--home", str(home), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (1, 2), done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "ready" not in done.stdout
    return done.stderr


def test_second_gateway_names_the_first(own_gateway: Served) -> None:
    assert own_gateway.process is not None
    said = refused(own_gateway.home)
    assert own_gateway.url in said
    assert str(own_gateway.process.pid) in said
    assert own_gateway.wait_for(own_gateway.submit("duckdb", "select 1"))["status"] == "Succeed"


def test_corrupt_database(home: Path) -> None:
    (home / "ujes.db").write_bytes(b"this is no database" * 1000)
    said = refused(home)
    assert "ujes.db" in said


def test_newer_database(own_gateway: Served) -> None:
    own_gateway.end()
    with sqlite3.connect(own_gateway.home / "ujes.db") as database:
        database.execute("update alembic_version set version_num = '9999_from_the_future'")
    database.close()
    said = refused(own_gateway.home)
    assert "newer" in said


def test_port_in_use(own_gateway: Served, tmp_path: Path) -> None:
    port = own_gateway.url.rpartition(":")[2]
    said = refused(tmp_path / "other", "--port", port)
    assert port in said and "--port" in said


def test_home_that_cannot_be_made() -> None:
    """Not even the superuser can make a folder there."""
    assert "/proc/ujes" in refused(Path("/proc/ujes"))


def test_home_that_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "home"
    file.touch()
    assert str(file) in refused(file)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("port = 9000\n[limits\n", "line 2"),
        ("prot = 9000\n", "no setting prot"),
        ("[limits]\ninstances = -1\n", "limits.instances"),
        ("[engines.prewarm]\nalice = 1\n", "user/creator/engine"),
        ("[engines.prewarm]\n'alice/IDE/nothing' = 1\n", "duckdb, python, shell"),
        ("database = 'postgresql+nodriver://u:hidden@localhost/x'\n", "database"),
    ],
)
def test_settings_that_cannot_be_used(home: Path, text: str, said: str) -> None:
    (home / "ujes.toml").write_text(text)
    refusal = refused(home)
    assert said in refusal
    assert "hidden" not in refusal


def test_broken_settings_name_their_file(home: Path) -> None:
    (home / "ujes.toml").write_text("= 3")
    assert "ujes.toml" in refused(home)


def test_missing_settings_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UJES_CONFIG", str(home / "nowhere.toml"))
    assert "nowhere.toml" in refused(home)
