"""Rows about one client that waits: a warm query, and a line of the log."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
from websockets.sync.client import ClientConnection, connect

from benchmarks import servers, wire
from benchmarks.row import Row, in_turns, timed_ms

_POLLED = "There is no push yet: the client asks over REST, one request after the other."
_QUERY = "select sum(range) as s from range(1000)"
_LINES = """
import sys, time
for _ in range({count}):
    print(repr(time.time()), flush=True)
    time.sleep(0.05)
"""
_LINE_COUNT = 30


def rows() -> Iterator[Row]:
    with wire.gateway() as served, _echo() as echo:
        talk = wire.Talk(served)
        yield _query(talk, echo)
        yield _log_line(talk, echo)
        talk.close()


@contextmanager
def _echo() -> Iterator[ClientConnection]:
    with (
        servers.running("websocket") as (_pid, port),
        connect(f"ws://127.0.0.1:{port}", proxy=None) as connection,
    ):
        yield connection


def _round_trip(echo: ClientConnection) -> None:
    echo.send("x" * 200)
    assert len(echo.recv()) == 200


def _query(talk: wire.Talk, echo: ClientConnection) -> Row:
    with duckdb.connect() as own:

        def theirs() -> float:
            return timed_ms(lambda: (_round_trip(echo), own.execute(_QUERY).fetchall()))

        def ours() -> float:
            return timed_ms(lambda: _answer(talk))

        ours_ms, theirs_ms = in_turns(ours, theirs, rounds=60)
    return Row(
        what="submit to rows, warm duckdb engine, one client",
        against="WebSocket echo round trip + DuckDB's own time",
        budget=8,
        ours=ours_ms,
        theirs=theirs_ms,
        unit="ms",
        note=_POLLED,
        limited_by="Submit, several status, history and page requests stand in a row; push saves the asking.",
    )


def _answer(talk: wire.Talk) -> None:
    assert talk.run(_QUERY, "duckdb", "sql") == [["499500"]]


def _log_line(talk: wire.Talk, echo: ClientConnection) -> Row:
    talk.run("print(1)", "python", "python")
    delays_ms = _line_delays_ms(talk)
    assert len(delays_ms) == _LINE_COUNT
    trips_ms = [timed_ms(lambda: _round_trip(echo)) for _ in range(_LINE_COUNT)]
    return Row(
        what="log line printed in the engine to received",
        against="WebSocket echo",
        budget=6,
        ours=statistics.median(delays_ms),
        theirs=statistics.median(trips_ms),
        unit="ms",
        note=_POLLED,
        limited_by="A line waits for the next question; push saves that.",
    )


def _line_delays_ms(talk: wire.Talk) -> list[float]:
    """From the moment a line carries to the moment it was read, for every line."""
    job = talk.submit(_LINES.format(count=_LINE_COUNT), "python", "python")
    delays_ms: list[float] = []
    next_line = 1
    while len(delays_ms) < _LINE_COUNT:
        part = talk.get(f"/entrance/{job}/log", fromLine=next_line, size=-1, distinctLevel="false")
        received_s = time.time()
        next_line = part["fromLine"]
        printed = [line for line in part["log"].splitlines() if line.replace(".", "").isdigit()]
        delays_ms += [(received_s - float(line)) * 1000 for line in printed]
    talk.wait(job)
    return delays_ms
