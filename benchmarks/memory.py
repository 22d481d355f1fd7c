"""Rows about what stays when nothing happens."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import psutil

from benchmarks import wire
from benchmarks.row import Row

_MIB = 1024 * 1024
_BARE = "import sys, uvicorn, starlette.applications, duckdb, pyarrow; print(flush=True); sys.stdin.read()"


def rows() -> Iterator[Row]:
    with wire.gateway() as served:
        yield _gateway(served)
        yield _engine(served)


def _gateway(served: wire.Served) -> Row:
    command = [sys.executable, "-c", _BARE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as bare:
        assert bare.stdout is not None and bare.stdin is not None
        bare.stdout.readline()
        theirs_mb = psutil.Process(bare.pid).memory_info().rss / _MIB
        bare.stdin.close()
    return Row(
        what="idle gateway memory (resident)",
        against="a bare uvicorn + Starlette + duckdb + pyarrow import",
        budget=1.5,
        ours=psutil.Process(served.process.pid).memory_info().rss / _MIB,
        theirs=theirs_mb,
        unit="MB",
    )


def _engine(served: wire.Served) -> Row:
    talk = wire.Talk(served)
    assert talk.run("print(6 * 7)", "python", "python") == [["42"]]
    talk.close()
    hosts = [
        process
        for process in psutil.Process(served.process.pid).children(recursive=True)
        if str(served.home / "engines") in process.cwd()
    ]
    assert len(hosts) == 1, hosts
    return Row(
        what="idle python engine, private memory",
        against="-",
        budget=8,
        ours=hosts[0].memory_full_info().uss / _MIB,
        theirs=None,
        unit="MB",
        note="After its first job; what it shares with the warm parent is not counted.",
        limited_by="Not taken apart yet.",
    )
