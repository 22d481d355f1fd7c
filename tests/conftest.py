"""What every test gets: leak checks, a home, a free port, and no skipping where CI must not skip.

Leaks. When a test begins (after fixtures of wider scope), its process' threads, direct children and open
descriptors are noted; after its last fixture is gone, whatever is new gets `GRACE_S` to end and fails the
test if it does not. At the end of the run every process that still carries this run's mark, or works in its
temporary folder, is ended and fails the run: engines are children of children, and outlive a killed gateway.
"""

from __future__ import annotations

import gc
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import psutil
import pytest

GRACE_S = float(os.environ.get("UJES_TEST_GRACE_S", "5"))
#: Marks every process whose environment comes from ours.
RUN_MARK = "UJES_TEST_RUN"
os.environ[RUN_MARK] = uuid.uuid4().hex

hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, max_examples=60, database=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")


# --- fixtures ---------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty UJES home. Its path is short, since the path of a unix socket may have some 100 bytes."""
    return tmp_path_factory.mktemp("h")


@pytest.fixture
def free_port() -> int:
    """A TCP port nobody listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


# --- leaks ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Held:
    """What this process holds that must not outlive a test."""

    threads: frozenset[threading.Thread]
    children: frozenset[psutil.Process]
    #: number and target: a closed and reused number is another descriptor
    descriptors: frozenset[tuple[int, str]]

    @classmethod
    def now(cls) -> Held:
        return cls(
            threads=frozenset(threading.enumerate()),
            children=frozenset(psutil.Process().children()),
            descriptors=frozenset(_descriptors()),
        )

    def __sub__(self, before: Held) -> list[str]:
        """What is here and was not before, in words."""
        return [
            *(f"thread {thread.name!r}" for thread in self.threads - before.threads),
            *(f"process {_describe(child)}" for child in self.children - before.children),
            *(f"descriptor {number} -> {target}" for number, target in self.descriptors - before.descriptors),
        ]


def _descriptors() -> Iterator[tuple[int, str]]:
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        return  # macOS cannot tell what a descriptor is, and numbers alone say too little
    for entry in list(folder.iterdir()):
        number = int(entry.name)
        if number <= 2:  # pytest puts its own files there and takes them away again
            continue
        try:
            yield number, str(entry.readlink())
        except FileNotFoundError:
            continue  # the descriptor of this very listing


def _describe(process: psutil.Process) -> str:
    try:
        return f"{process.pid} ({process.status()}): {' '.join(process.cmdline())[:200]}"
    except psutil.Error:
        return f"{process.pid}"


_before = pytest.StashKey[Held]()


@pytest.fixture(autouse=True)
def _note_what_is_held(request: pytest.FixtureRequest) -> None:
    request.node.stash[_before] = Held.now()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    yield
    before = item.stash.get(_before, None)
    if before is None:
        return
    left = _wait_until_empty(lambda: Held.now() - before)
    if left:
        pytest.fail("the test leaves behind:\n  " + "\n  ".join(sorted(left)), pytrace=False)


def _wait_until_empty(find: Callable[[], list[str]]) -> list[str]:
    """Threads and processes take a moment to end, and nothing tells when the last one has."""
    deadline = time.monotonic() + GRACE_S
    left = find()
    if left:
        gc.collect()
    while left and time.monotonic() < deadline:
        threading.Event().wait(0.02)
        left = find()
    return left


# --- the end of the run -----------------------------------------------------------------------


def pytest_sessionfinish(session: pytest.Session) -> None:
    strays = _strays(session)
    if not strays:
        return
    described = [_describe(stray) for stray in strays]
    for stray in strays:
        stray.kill()
    psutil.wait_procs(strays, timeout=GRACE_S)
    session.config.stash[_stray_report] = described
    session.exitstatus = pytest.ExitCode.TESTS_FAILED


_stray_report = pytest.StashKey[list[str]]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(_stray_report, []):
        terminalreporter.write_line(f"FAILED the run left a process behind (ended now): {line}", red=True)


def _strays(session: pytest.Session) -> list[psutil.Process]:
    factory: pytest.TempPathFactory = session.config._tmp_path_factory  # type: ignore[attr-defined]
    base = str(factory.getbasetemp())
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = [
        process for process in psutil.process_iter() if process.pid not in own and _is_ours(process, base)
    ]
    _gone, alive = psutil.wait_procs(found, timeout=GRACE_S)
    return list(alive)


def _is_ours(process: psutil.Process, base: str) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        carries_mark = process.environ().get(RUN_MARK) == os.environ[RUN_MARK]
        return carries_mark or process.cwd().startswith(base + "/")
    except psutil.Error:
        return False


# --- skips that CI does not allow --------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    texts = (line.partition(":") for line in config.getini("markers"))
    config.stash[_server_markers] = {
        name for name, _colon, text in texts if text.strip().startswith("needs ")
    }


_server_markers = pytest.StashKey[set[str]]()


def _must_not_skip(config: pytest.Config, markers: set[str]) -> bool:
    return bool(os.environ.get("UJES_REQUIRE_ALL")) and bool(markers & config.stash[_server_markers])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    markers = {mark.name for mark in item.iter_markers()}
    if report.skipped and not hasattr(report, "wasxfail") and _must_not_skip(item.config, markers):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: skipped, but UJES_REQUIRE_ALL is set: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A whole module that skips itself says nothing about markers, so it may not."""
    report = yield
    if report.skipped and os.environ.get("UJES_REQUIRE_ALL"):
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid}: skipped as a whole, but UJES_REQUIRE_ALL is set"
    return report
