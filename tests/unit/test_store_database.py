"""The files of a database are for their owner alone, whatever the mask says."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ujes.gateway.store.store import Store


@pytest.mark.parametrize("is_there", [False, True], ids=["new", "from before"])
async def test_nobody_else_may_read_the_database(tmp_path: Path, *, is_there: bool) -> None:
    database = tmp_path / "ujes.db"
    if is_there:
        database.touch(0o644)
    mask = os.umask(0)
    try:
        store = await Store.open(f"sqlite:///{database}")
        await store.unfinished_jobs()
        modes = _modes(tmp_path)
        await store.close()
    finally:
        os.umask(mask)
    assert modes == dict.fromkeys(("ujes.db", "ujes.db-wal", "ujes.db-shm"), 0o600)


def _modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
