"""The python engine: interrupts reach user code, and nothing else."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.python_engine import Bench, texts
from ujes.engines.engine import Interrupted


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Bench(tmp_path) as opened:
        yield opened


# The interrupted code leaves its sockets open and nobody waits for its child again.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize(
    "block",
    [
        "while True: pass",
        "import time; time.sleep(1000)",
        "import subprocess; child = subprocess.Popen(['sleep', '1000']); child.wait()",
        "import select; select.select([], [], [])",
        "import socket; a, b = socket.socketpair(); a.recv(1)",
        "import threading; threading.Semaphore(0).acquire()",
        "import threading; e = threading.Event(); e.wait()",
        "import queue; queue.Queue().get()",
        "while True: print('x')",
        "while True: show.show(1)",
    ],
)
def test_whatever_it_waits_for(bench: Bench, block: str) -> None:
    bench.run("kept = 1")
    prepare, _, wait = block.rpartition("; ")
    bench.interrupt(f"{prepare}\nprint('ready')\n{wait}")
    assert texts(bench.run("print(kept)")) == ["1"]


def test_a_coroutine(bench: Bench) -> None:
    out = bench.interrupt("""
        import asyncio
        async def wait():
            print("ready")
            await asyncio.sleep(1000)
        try:
            await wait()
        finally:
            print("cleaned")
    """)
    assert texts(out) == ["ready", "cleaned"]


def test_a_join_of_a_thread(bench: Bench) -> None:
    out = bench.interrupt("""
        import threading
        stop = threading.Event()
        thread = threading.Thread(target=stop.wait)
        thread.start()
        print("ready")
        thread.join()
    """)
    assert out.said("WARN") == ["1 threads of this job cannot be ended and go on in its session."]
    bench.run("stop.set(); thread.join()")


def test_a_table_on_its_way_is_dropped(bench: Bench) -> None:
    out = bench.interrupt("""
        import pyarrow as pa
        def endless():
            print("ready")
            while True:
                yield batch
        batch = pa.record_batch({"a": [1, 2]})
        show(pa.RecordBatchReader.from_batches(batch.schema, endless()))
    """)
    assert [each.kind for each in out.results] == ["text"]


def test_the_job_s_processes_are_ended_and_older_ones_live(bench: Bench) -> None:
    bench.run("import subprocess; older = subprocess.Popen(['sleep', '1000'])")
    os.environ["UJES_JOB"] = "4711"
    try:
        bench.interrupt("""
            import multiprocessing, subprocess, time
            deaf = "trap '' TERM; echo deaf; while :; do sleep 1; done"
            stubborn = subprocess.Popen(["sh", "-c", deaf], stdout=subprocess.PIPE)
            stubborn.stdout.readline()
            subprocess.run(["setsid", "-f", "sleep", "1000"])
            forked = multiprocessing.get_context("fork").Process(target=time.sleep, args=(1000,))
            forked.start()
            print("ready")
            time.sleep(1000)
        """)
        assert _marked("4711") == []
    finally:
        del os.environ["UJES_JOB"]
    out = bench.run("""
        print(older.poll(), stubborn.wait(), forked.join(), forked.exitcode)
        older.kill(); older.wait(); stubborn.stdout.close()
    """)
    assert texts(out) == ["None -9 None -15"]


def _marked(job: str) -> list[int]:
    found = []
    for each in psutil.process_iter():
        try:
            if each.environ().get("UJES_JOB") == job and each.pid != os.getpid():
                found.append(each.pid)
        except psutil.Error:
            continue
    return found


def test_a_late_or_early_interrupt_hits_nothing(bench: Bench) -> None:
    bench.engine.interrupt()
    assert texts(bench.run("print('a')")) == ["a"]
    bench.engine.interrupt()
    bench.engine.interrupt()
    assert texts(bench.run("print('b')")) == ["b"]


def test_a_storm_of_interrupts_hits_user_code_alone(bench: Bench) -> None:
    is_over = threading.Event()

    def storm() -> None:
        while not is_over.is_set():
            bench.engine.interrupt()

    meddler = threading.Thread(target=storm)
    meddler.start()
    try:
        for _ in range(50):
            try:
                bench.run("for n in range(100): print(n)\nimport pyarrow\nshow(pyarrow.table({'a': [1]}))")
            except Interrupted:
                continue
    finally:
        is_over.set()
        meddler.join()
    assert texts(bench.run("print('alive')")) == ["alive"]


def test_code_that_catches_it_is_still_told_as_interrupted(bench: Bench) -> None:
    out = bench.interrupt("""
        import time
        try:
            print("ready")
            time.sleep(1000)
        except KeyboardInterrupt:
            print("caught")
    """)
    assert texts(out) == ["ready", "caught"]


def test_sigint_from_elsewhere_is_an_error_of_the_code(bench: Bench) -> None:
    error = bench.fail("import signal\nsignal.raise_signal(signal.SIGINT)")
    assert error.text.startswith("KeyboardInterrupt (line 2)")
