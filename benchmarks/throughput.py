"""Rows about many clients: accepting jobs, and the questions they ask all the time."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing

from benchmarks import load, servers, wire
from benchmarks.row import Row, in_turns

_CLIENTS = 64
_SUBMITS = 2500
_GETS = 6000
#: One shell job that sleeps holds the only slot, so that accepted jobs do nothing but wait.
_ONE_SLOT = {
    "LIMITS__RUNNING_PER_ENGINE_QUEUE": '{"shell": 1}',
    "LIMITS__QUEUED_PER_QUEUE": "1000000",
}


def rows() -> Iterator[Row]:
    yield _accepts()
    yield _questions()


def _accepts() -> Row:
    body = json.dumps(wire.submit_body("true", "shell", "shell")).encode()
    with wire.gateway(_ONE_SLOT) as served, servers.running("starlette") as (echo_pid, echo_port):
        talk = wire.Talk(served)
        talk.submit("sleep 3600", "shell", "shell")
        submit = load.request("POST", f"{wire.API}/entrance/submit", body=body, cookie=talk.cookie)
        seen: set[int] = set()

        def ours() -> float:
            with load.apart(served.process.pid):
                took_s, answers = load.perform(
                    served.address[1], [submit], count=_SUBMITS, connections=_CLIENTS
                )
            new = {int(found[1]) for answer in answers if (found := re.search(rb'"taskID":(\d+)', answer))}
            assert len(new) == _SUBMITS and not new & seen, "every submit is a job of its own"
            seen.update(new)
            return _SUBMITS / took_s

        def theirs() -> float:
            with load.apart(echo_pid):
                took_s, answers = load.perform(echo_port, [submit], count=_SUBMITS, connections=_CLIENTS)
            assert all(answer.endswith(body) for answer in answers)
            return _SUBMITS / took_s

        ours_rate, theirs_rate = in_turns(ours, theirs, rounds=3)
        talk.close()
        assert _stored(served) == len(seen) + 1, "every accepted job is in the store"
    return Row(
        what="durable accepts per second, 64 clients",
        against="uvicorn + Starlette echo of the same body, same core",
        budget=0.25,
        better="more",
        ours=ours_rate,
        theirs=theirs_rate,
        unit="/s",
        limited_by="By profile: reading the body, the checks and the hand-over to the store's thread, which "
        "shares one interpreter with the event loop.",
    )


def _stored(served: wire.Served) -> int:
    with closing(sqlite3.connect(served.home / "ujes.db")) as database:
        count: int = database.execute("select count(*) from jobs").fetchone()[0]
    return count


def _questions() -> Row:
    with wire.gateway() as served, servers.running("plain") as (plain_pid, plain_port):
        talk = wire.Talk(served)
        job = talk.submit("select 1", "duckdb", "sql")
        talk.wait(job)
        exec_path = f"{wire.API}/entrance/{job}"
        asked = [
            load.request("GET", f"{exec_path}/{verb}", cookie=talk.cookie)
            for verb in ("status", "log?fromLine=1&size=-1", "progress")
        ]

        def ours() -> float:
            return _per_cpu_second(served.process.pid, served.address[1], asked)

        def theirs() -> float:
            return _per_cpu_second(plain_pid, plain_port, asked)

        ours_rate, theirs_rate = in_turns(ours, theirs, rounds=5)
        talk.close()
    return Row(
        what="status, log and progress GETs per server CPU-second, logged in",
        against="uvicorn plain ASGI echo",
        budget=0.45,
        better="more",
        ours=ours_rate,
        theirs=theirs_rate,
        unit="/s",
        limited_by="By profile: the two writes of an answer, which the echo makes too, and identity and job "
        "look-up, a fifth of the time.",
    )


def _per_cpu_second(pid: int, port: int, asked: list[bytes]) -> float:
    with load.apart(pid):
        before_s = load.cpu_s(pid)
        _took_s, answers = load.perform(port, asked, count=_GETS, connections=16)
        used_s = load.cpu_s(pid) - before_s
    assert all(answer.startswith(b"HTTP/1.1 200 OK") and b'"status":0' in answer for answer in answers)
    return _GETS / used_s
