"""Rows about one client that waits: a warm query, and a line of the log; both come by WebSocket push."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb
from websockets.sync.client import ClientConnection, connect

from benchmarks import servers, wire
from benchmarks.row import Row, in_turns, timed_ms

_PAUSE_S = 0.05
_QUERY = "select sum(range) as s from range(1000)"
_LINES = """
import sys, time
for _ in range({count}):
    print(repr(time.time()), flush=True)
    time.sleep({pause_s})
"""
_LINE_COUNT = 30


def rows() -> Iterator[Row]:
    with wire.gateway() as served, _echo() as echo:
        talk = wire.Talk(served)
        with _page(served, talk) as page:
            yield _query(talk, page, echo)
            yield _log_line(page, echo)
        talk.close()


@contextmanager
def _page(served: wire.Served, talk: wire.Talk) -> Iterator[ClientConnection]:
    host, port = served.address
    url = f"ws://{host}:{port}/ws/api/entrance/connect"
    with connect(url, additional_headers={"Cookie": talk.cookie}, proxy=None) as connection:
        yield connection


def _pushed(page: ClientConnection, code: str, engine: str, run_type: str) -> Iterator[dict[str, Any]]:
    """Run code as a page does; every frame about it, up to its end."""
    data = {"executeApplicationName": engine, "executionCode": code, "runType": run_type}
    frame = {"method": f"{wire.API}/entrance/execute", "websocketTag": "bench", "data": data}
    page.send(json.dumps(frame))
    while True:
        heard = json.loads(page.recv())
        assert heard["status"] == 0, heard
        yield heard
        if heard["method"].endswith("/status") and heard["data"]["status"] in wire.FINAL:
            assert heard["data"]["status"] == "Succeed", heard
            return


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


def _query(talk: wire.Talk, page: ClientConnection, echo: ClientConnection) -> Row:
    with duckdb.connect() as own:

        def theirs() -> float:
            return timed_ms(lambda: (_round_trip(echo), own.execute(_QUERY).fetchall()))

        def ours() -> float:
            return timed_ms(lambda: _answer(talk, page))

        ours_ms, theirs_ms = in_turns(ours, theirs, rounds=60)
    return Row(
        what="submit to rows, warm duckdb engine, one client, by push",
        against="WebSocket echo round trip + DuckDB's own time",
        budget=8,
        ours=ours_ms,
        theirs=theirs_ms,
        unit="ms",
        note="Push says that the job has ended; its rows are then asked for over REST, in two requests.",
        limited_by="Two durable commits (accept and end), the hand-over between four threads of two "
        "processes, a result file, and the two requests for the rows stand in a row.",
    )


def _answer(talk: wire.Talk, page: ClientConnection) -> None:
    *_, last = _pushed(page, _QUERY, "duckdb", "sql")
    assert talk.page(last["data"]["taskID"])["fileContent"] == [["499500"]]


def _log_line(page: ClientConnection, echo: ClientConnection) -> Row:
    delays_ms = _line_delays_ms(page)
    assert len(delays_ms) == _LINE_COUNT
    trips_ms = []
    for _ in range(_LINE_COUNT):
        # At the same pace: a processor that has rested is slower to answer.
        time.sleep(_PAUSE_S)
        trips_ms.append(timed_ms(lambda: _round_trip(echo)))
    return Row(
        what="log line printed in the engine to received over WebSocket",
        against="WebSocket echo, at the same pace",
        budget=6,
        ours=statistics.median(delays_ms),
        theirs=statistics.median(trips_ms),
        unit="ms",
        limited_by="A line goes through the engine's pipe, the link, the log file and the push.",
    )


def _line_delays_ms(page: ClientConnection) -> list[float]:
    """From the moment a line carries to the moment it was received, for every line."""
    delays_ms: list[float] = []
    for frame in _pushed(page, _LINES.format(count=_LINE_COUNT, pause_s=_PAUSE_S), "python", "python"):
        received_s = time.time()
        if frame["method"].endswith("/log"):
            lines = frame["data"]["log"][3].splitlines()
            printed = [line for line in lines if line.replace(".", "").isdigit()]
            delays_ms += [(received_s - float(line)) * 1000 for line in printed]
    return delays_ms
