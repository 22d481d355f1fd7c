"""Whose connection it is: the token, and where engines have accounts of their own, the account."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from ujes.core.instance import EngineInstance
from ujes.core.job import QueueKey
from ujes.gateway.clock import SystemClock
from ujes.gateway.instances.fleet import Fleet
from ujes.gateway.instances.links import Links
from ujes.gateway.observe import Observers
from ujes.gateway.store.store import Store
from ujes.link.codec import encode
from ujes.link.messages import LINK_VERSION, Hello

TAG, TOKEN = "python-1", "right"

needs_credentials = pytest.mark.skipif(
    not hasattr(socket, "SO_PEERCRED"), reason="this system does not tell who is at the other end"
)


def _fleet() -> Fleet:
    fleet = Fleet(cast("Store", None), SystemClock(), Observers())
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    queue = QueueKey(run_as="alice", creator="IDE", engine="python")
    fleet.reserve(
        EngineInstance(tag=TAG, queue=queue, token_hash=digest, created_at_ms=0, updated_at_ms=0, node="here")
    )
    return fleet


async def _is_welcome(path: Path, account_of: Callable[[str], int] | None, token: str = TOKEN) -> bool:
    fleet = _fleet()
    links = Links(fleet, Observers(), f"unix://{path}", account_of)
    await links.open()
    reader, writer = await asyncio.open_unix_connection(str(path))
    hello = Hello(
        version=LINK_VERSION, tag=TAG, token=token, pid=1, engine="python", phase="opening", jobs=[]
    )
    writer.write(encode(hello))
    answer = await asyncio.wait_for(reader.read(1), 10)
    assert (TAG in fleet.linked) == bool(answer)
    writer.close()
    await writer.wait_closed()
    await links.close()
    return bool(answer)


async def test_the_token_decides(home: Path) -> None:
    assert await _is_welcome(home / "run" / "s", None)
    assert not await _is_welcome(home / "run" / "s", None, token="wrong")
    assert stat.S_IMODE((home / "run").stat().st_mode) == 0o700


@needs_credentials
async def test_the_account_decides_too(home: Path) -> None:
    assert await _is_welcome(home / "run" / "s", lambda _tag: os.geteuid())
    assert not await _is_welcome(home / "run" / "s", lambda _tag: os.geteuid() + 1)
    assert not await _is_welcome(home / "run" / "s", lambda _tag: os.geteuid(), token="wrong")
    assert stat.S_IMODE((home / "run").stat().st_mode) == 0o711


async def test_an_engine_without_a_work_folder_is_nobody(home: Path) -> None:
    def gone(_tag: str) -> int:
        raise FileNotFoundError

    assert not await _is_welcome(home / "run" / "s", gone)
