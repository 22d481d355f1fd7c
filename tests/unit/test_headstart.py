"""What a start begins early: it is used, or it leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

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


@pytest.mark.parametrize("library", ["pyarrow", "pandas", "structlog", "rich", "alembic", "duckdb"])
def test_a_start_does_without(library: str) -> None:
    code = f"import sys, ujes.cli.serve, ujes.app; sys.exit({library!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
