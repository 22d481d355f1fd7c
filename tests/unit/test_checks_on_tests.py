"""The checks in `tests/conftest.py`, tried on tests that do what they must not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]

TESTS = """
import asyncio, os, subprocess, threading
import pytest

kept = []

async def test_clean(tmp_path):
    await asyncio.to_thread(os.getpid)
    process = await asyncio.create_subprocess_exec("true")
    await process.wait()
    server = await asyncio.start_unix_server(lambda reader, writer: None, str(tmp_path / "s"))
    server.close()
    await server.wait_closed()

def test_leaves_a_thread():
    threading.Thread(target=threading.Event().wait, daemon=True, name="stray").start()

def test_leaves_a_child():
    kept.append(subprocess.Popen(["sleep", "600"]))

def test_leaves_a_descriptor():
    kept.append(os.open(os.devnull, os.O_RDONLY))

def test_leaves_a_grandchild():
    subprocess.run(["sh", "-c", "(setsid sleep 600 >/dev/null 2>&1 & echo $! > grandchild)"], check=True)

@pytest.mark.registry
def test_needs_a_server():
    pytest.skip("there is none")

def test_is_for_another_system():
    pytest.skip("not this one")
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("inner")
    (folder / "test_inner.py").write_text(TESTS)
    shutil.copy(ROOT / "tests" / "conftest.py", folder)
    shutil.copy(ROOT / "pyproject.toml", folder)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ".", "."]
    command += ["--basetemp", str(folder / "base")]
    env = os.environ | {"UJES_TEST_GRACE_S": "0.2", "UJES_REQUIRE_ALL": "1"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout, folder


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ("test_leaves_a_thread", "thread 'stray'"),
        ("test_leaves_a_child", "sleep 600"),
        ("test_leaves_a_descriptor", "-> /dev/null"),
    ],
)
def test_what_outlives_a_test_fails_it(report: tuple[str, Path], test: str, said: str) -> None:
    output, _folder = report
    assert f"ERROR test_inner.py::{test}" in output
    told = output.partition(f"ERROR at teardown of {test} ")[2].splitlines()[1:3]
    assert told[0] == "the test leaves behind:"
    assert said in told[1]


def test_what_outlives_the_run_is_named_and_ended(report: tuple[str, Path]) -> None:
    output, folder = report
    grandchild = int((folder / "grandchild").read_text())
    assert f"left a process behind (ended now): {grandchild} " in output
    assert not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == psutil.STATUS_ZOMBIE


def test_a_skip_for_want_of_a_server_fails_where_all_are_required(report: tuple[str, Path]) -> None:
    output, _folder = report
    assert "FAILED test_inner.py::test_needs_a_server" in output
    assert "SKIPPED" in output and "not this one" in output


def test_a_clean_test_passes(report: tuple[str, Path]) -> None:
    output, _folder = report
    assert "test_clean" not in output
    assert "1 failed, 5 passed, 1 skipped, 3 errors" in output
