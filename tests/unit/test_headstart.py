"""What a start begins early: it is used, or it leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from ujes.gateway.auth.firstadmin import make_first_admin
from ujes.gateway.auth.passwords import Passwords
from ujes.launchers.local.local import LocalLauncher
from ujes.launchers.local.spawn import spawned_ahead


async def test_a_launcher_takes_the_warm_parent_that_is_on_its_way(tmp_path: Path) -> None:
    with spawned_ahead() as spawned:
        assert spawned is not None
        launcher = LocalLauncher(tmp_path, spawned)
        assert await launcher.warm() == ()
        assert launcher.warm_pid() == spawned.process.pid
        await launcher.close()
        assert spawned.process.returncode == 0


def test_a_warm_parent_nobody_took_is_ended() -> None:
    with spawned_ahead() as spawned:
        assert spawned is not None
    assert spawned.process.returncode is not None
    assert not psutil.pid_exists(spawned.process.pid)


async def test_the_made_password_is_known_at_once_and_no_other_is() -> None:
    first = make_first_admin()
    password_hash = first.password_hash.result(60)
    passwords = Passwords()
    assert await passwords.matches(password_hash, first.password)
    passwords.remember(password_hash, first.password)
    assert await passwords.matches(password_hash, first.password)
    assert not await passwords.matches(password_hash, first.password + "x")
    assert not await passwords.matches(None, first.password)
    passwords.close()


@pytest.mark.parametrize("library", ["pyarrow", "pandas", "structlog", "rich", "alembic", "duckdb"])
def test_a_start_does_without(library: str) -> None:
    code = f"import sys, ujes.cli.serve, ujes.app; sys.exit({library!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
