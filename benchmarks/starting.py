"""Rows about beginnings: the server's, and an engine's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

from benchmarks import wire
from benchmarks.row import Row, in_turns, timed_ms

_FORKS = """
import os, socket, sys, tempfile, time
import duckdb, pyarrow, ujes.enginehost.host
from ujes.link.codec import encode
from ujes.link.messages import Hello
hello = encode(
    Hello(version=1, tag="python-1", token="0" * 43, pid=1, engine="python", phase="opening", jobs=[])
)
folder = tempfile.mkdtemp()
listener = socket.socket(socket.AF_UNIX)
listener.bind(folder + "/s")
listener.listen()
for _line in sys.stdin:
    start = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        link = socket.socket(socket.AF_UNIX)
        link.connect(folder + "/s")
        link.sendall(hello)
        link.recv(len(hello))
        link.sendall(b"!")
        os._exit(0)
    link, _peer = listener.accept()
    link.sendall(link.recv(len(hello)))
    link.recv(1)
    print((time.perf_counter() - start) * 1000, flush=True)
    link.close()
    os.waitpid(pid, 0)
os.unlink(folder + "/s")
os.rmdir(folder)
"""


def rows() -> Iterator[Row]:
    yield _server()
    yield _engine()


def _server() -> Row:
    def theirs() -> float:
        command = [sys.executable, "-c", "import duckdb, pyarrow"]
        return timed_ms(lambda: subprocess.run(command, check=True))

    ours_ms, theirs_ms = in_turns(_first_rows, theirs, rounds=5)
    return Row(
        what="exec of `ujes serve` to the first `select 1` rows over REST",
        against='`python -c "import duckdb, pyarrow"`',
        budget=3,
        ours=ours_ms,
        theirs=theirs_ms,
        unit="ms",
        note="A new home, so the store is made, too. The client shows a token: no password is hashed for it.",
        limited_by="Some four fifths pass before the gateway is ready, most of them in imports (SQLAlchemy, "
        "pyarrow with numpy, pydantic); the warm parent imports on the other core at the same time.",
    )


def _first_rows() -> float:
    with wire.new_home() as home:
        started: list[wire.Served] = []

        def begin() -> None:
            started.append(wire.start(home))
            talk = wire.Talk(started[0], by_token=True)
            assert talk.run("select 1", "duckdb", "sql") == [["1"]]
            talk.close()

        try:
            return timed_ms(begin)
        finally:
            for served in started:
                wire.stop(served)


def _engine() -> Row:
    command = [sys.executable, "-c", _FORKS]
    with (
        wire.gateway() as served,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as forks,
    ):
        talk = wire.Talk(served)

        def theirs() -> float:
            assert forks.stdin is not None and forks.stdout is not None
            print(file=forks.stdin, flush=True)
            return float(forks.stdout.readline())

        def ours() -> float:
            return timed_ms(lambda: _fresh(talk))

        ours_ms, theirs_ms = in_turns(ours, theirs, rounds=15)
        talk.close()
        assert forks.stdin is not None
        forks.stdin.close()
    return Row(
        what="new python engine, submit to first result",
        against="fork of the warm parent + one link round trip",
        budget=12,
        ours=ours_ms,
        theirs=theirs_ms,
        unit="ms",
        note="The end is learnt by asking for the status over REST.",
        limited_by="Not taken apart yet; the asking client takes a part of the same cores.",
    )


def _fresh(talk: wire.Talk) -> None:
    assert talk.run("print(6 * 7)", "python", "python", executeOnce="") == [["42"]]
