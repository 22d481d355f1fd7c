"""The python engine: what programs write, by whatever way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.python_engine import Bench, texts
from ujes.engines.engine import EngineError


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Bench(tmp_path) as opened:
        yield opened


def test_every_way_of_writing_keeps_its_place(bench: Bench) -> None:
    out = bench.run("""
        import os, sys, subprocess
        print("print")
        os.write(1, b"raw\\n")
        os.system("echo shell")
        subprocess.run("printf 'c\\\\nb\\\\na\\\\n' | sort", shell=True)
        sys.stdout.buffer.write(b"bytes\\n")
        sys.stdout.flush()
        print("end", end="")
    """)
    assert texts(out) == ["print", "raw", "shell", "a", "b", "c", "bytes", "end"]
    assert out.lines == texts(out)


def test_both_streams_keep_their_order_in_the_log_and_errors_stay_out_of_the_result(bench: Bench) -> None:
    out = bench.run("""
        import sys
        for n in range(20):
            print("out", n)
            print("err", n, file=sys.stderr)
    """)
    assert out.lines == [f"{name} {n}" for n in range(20) for name in ("out", "err")]
    assert texts(out) == [f"out {n}" for n in range(20)]


def test_a_line_is_heard_while_the_code_goes_on(bench: Bench) -> None:
    out = bench.out()
    threading.Thread(
        target=lambda: (out.heard(lambda line: line == "first"), (bench.work_dir / "go").touch())
    ).start()
    bench.engine.run(
        "import pathlib\nprint('first')\nwhile not pathlib.Path('go').exists(): pass\nprint('second')", out
    )
    assert texts(out) == ["first", "second"]


def test_no_output_is_no_result(bench: Bench) -> None:
    assert bench.run("x = 1").results == []


def test_standard_output_is_no_terminal(bench: Bench) -> None:
    assert texts(
        bench.run("import sys; print(sys.stdout.isatty(), sys.stdout.fileno(), sys.stderr.fileno())")
    ) == ["False 1 2"]


def test_hundred_megabytes(bench: Bench) -> None:
    out = bench.run("for _ in range(100): print('\\n'.join(['x' * 1023] * 1024))")
    assert out.results[0].rows == 100 * 1024
    assert len(out.lines) == 100 * 1024


def test_long_lines_are_cut_in_the_log_and_whole_in_the_result(bench: Bench) -> None:
    out = bench.run("print('é' * 5_000_000)")
    assert [len(line) for line in texts(out)] == [4 * 1024 * 1024, 5_000_000 - 4 * 1024 * 1024]
    assert out.lines[0] == "é" * 2000 + "..."


def test_bytes_that_are_no_text_and_redrawn_lines(bench: Bench) -> None:
    out = bench.run(r"""
        import os
        print("\ud800")
        os.write(1, b"\xff\0\r\n10%\r20%\r\n")
    """)
    assert texts(out) == ["\\ud800", "\ufffd\0", "10%\r20%"]
    assert out.lines[-1] == "20%"


def test_threads_and_pools(bench: Bench) -> None:
    out = bench.run("""
        import multiprocessing, threading
        def work(n):
            print("work", n, flush=True)
            return n * n
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print(pool.map(work, range(3)))
        each = [threading.Thread(target=print, args=("thread", n)) for n in range(3)]
        [t.start() for t in each]
        [t.join() for t in each]
    """)
    wanted = ["[0, 1, 4]", "thread 0", "thread 1", "thread 2", "work 0", "work 1", "work 2"]
    assert sorted(texts(out)) == wanted


def test_a_thread_that_goes_on_writes_into_no_later_job(bench: Bench) -> None:
    bench.run("""
        import threading
        stop, heard = threading.Event(), threading.Semaphore(0)
        def chatter():
            while not stop.is_set():
                print("chatter")
                heard.release()
        thread = threading.Thread(target=chatter)
        thread.start()
        heard.acquire()
    """)
    out = bench.run("""
        print("mine")
        while heard.acquire(blocking=False):
            pass
        heard.acquire()
        stop.set()
        thread.join()
    """)
    assert texts(out) == ["mine"]
    assert out.lines == ["mine"]
    assert any("earlier job were dropped" in line for line in out.said("WARN"))


def test_a_child_that_goes_on_writes_into_no_later_job_and_is_not_ended(bench: Bench) -> None:
    bench.run("""
        import subprocess
        child = subprocess.Popen(["sh", "-c", "echo begin; read x; echo late; read y"], stdin=subprocess.PIPE)
    """)
    out = bench.run("""
        child.stdin.write(b"x\\n"); child.stdin.flush()
        print(child.poll())
        child.stdin.close()
        print(child.wait())
    """)
    assert texts(out)[0] == "None"
    assert "late" not in texts(out)
    assert "late" not in out.lines


def test_code_that_closes_its_descriptors(bench: Bench) -> None:
    out = bench.run("import os\nprint('a')\nos.close(1)\nos.close(2)")
    assert texts(out) == ["a"]
    assert texts(bench.run("print('b')")) == ["b"]


def test_result_that_cannot_be_written_fails_the_job_with_that_reason(bench: Bench) -> None:
    class NoRoom:
        def write_line(self, text: str) -> None:
            raise EngineError("There is no space left.", 20052)

        def __enter__(self) -> NoRoom:
            return self

        def __exit__(self, *error: object) -> None: ...

    out = bench.out()
    out.text = NoRoom  # type: ignore[method-assign, assignment]
    with pytest.raises(EngineError, match="no space left"):
        bench.engine.run("for _ in range(100_000): print('x')", out)
    assert texts(bench.run("print('b')")) == ["b"]


def test_c_code_and_crash_reports_are_caught(bench: Bench) -> None:
    out = bench.run("""
        import ctypes, faulthandler
        ctypes.CDLL(None).puts(b"from C")
        faulthandler.dump_traceback()
    """)
    assert texts(out) == ["from C"]
    assert any("most recent call first" in line for line in out.lines)


def test_printlog_stands_between_the_lines_around_it(bench: Bench) -> None:
    out = bench.run("print('a')\nprintlog('note', 1)\nprint('b')")
    assert out.log == [(None, "a"), ("INFO", "note 1"), (None, "b")]


def test_logging_set_up_in_one_job_speaks_in_the_next(bench: Bench) -> None:
    bench.run("""
        import logging, sys
        logger = logging.getLogger("of-test")
        logger.propagate = False
        logger.addHandler(logging.StreamHandler())
    """)
    out = bench.run("logger.warning('well')\nlogger.handlers.clear()")
    assert out.lines == ["well"]
    assert out.results == []
