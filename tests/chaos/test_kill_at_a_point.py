"""The gateway is killed at each point of a job's way; after the next start every accepted job ends right.

Each point is a name in the production code (`ujes.gateway.signals.reach`); a gateway started with
`UJES_TEST_KILL_AT=<name>` ends itself there with SIGKILL. The job writes numbered lines to its log and one
line to a file outside, so that a second run of it would be seen.
"""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

import httpx
import pytest

from tests.support.served import served
from tests.support.waiting import until

LINES = 2000
CODE = """
with open({ran!r}, 'a') as file:
    file.write('ran\\n')
for number in range({lines}):
    print('line', number)
"""

POINTS = [
    "submit.stored",
    "instance.stored",
    "instance.forked",
    "instance.launched",
    "host.hello",
    "instance.opened",
    "run.before_send",
    "run.sent",
    "job.started",
    "lines.kept",
    "job.ended",
    "end.stored",
]


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_point(home: Path, tmp_path: Path, point: str) -> None:
    ran = tmp_path / "ran"
    with served(home, UJES_TEST_KILL_AT=point) as gateway:
        with contextlib.suppress(httpx.HTTPError):  # it may die before it can answer
            gateway.submit("python", CODE.format(ran=str(ran), lines=LINES))
        gateway.wait()
        gateway.env = {}
        gateway.start()
        jobs = gateway.data("GET", "/jobhistory/list")["tasks"]
        assert len(jobs) == 1
        job = jobs[0]["taskID"]
        task = gateway.wait_for(job)
        assert task["status"] == "Succeed", (task, gateway.log(job))
        assert ran.read_text() == "ran\n"
        numbered = [line for line in gateway.log(job) if line.startswith("line ")]
        assert numbered == [f"line {number}" for number in range(LINES)]
        assert gateway.rows(job)[:2] == [["line 0"], ["line 1"]]


def test_killed_while_a_kill_is_recorded(home: Path, tmp_path: Path) -> None:
    started = tmp_path / "started"
    code = f"open({str(started)!r}, 'w').close()\nimport time\ntime.sleep(4242)"
    with served(home, UJES_TEST_KILL_AT="cancel.stored") as gateway:
        job = gateway.submit("python", code)
        until(started.exists, "the job runs")
        with pytest.raises(httpx.HTTPError):
            gateway.kill_job(job)
        gateway.wait()
        gateway.env = {}
        gateway.start()
        assert gateway.wait_for(job)["status"] == "Cancelled"


def test_killed_while_jobs_run_and_wait(home: Path, tmp_path: Path) -> None:
    """SIGKILL with running and waiting jobs, twice: all end right, in order, nothing runs twice."""
    go, order = tmp_path / "go", tmp_path / "order"
    code = """
import os, time
with open({order!r}, 'a') as file:
    file.write('{name}\\n')
number = 0
while not os.path.exists({go!r}):
    print('line', number, flush=True)
    number += 1
    time.sleep(0.02)
print('last', number)
"""
    with served(home, UJES_LIMITS__RUNNING_PER_QUEUE="2") as gateway:
        names = [f"job{n}" for n in range(6)]
        jobs = [
            gateway.submit("python", code.format(order=str(order), go=str(go), name=name)) for name in names
        ]
        gateway.wait_for(jobs[1], "Running")
        seen = gateway.log_so_far(jobs[0])
        for _ in range(2):
            gateway.kill()
            gateway.start()
            assert [gateway.status(job) for job in jobs[2:]] == ["Inited"] * 4
        go.touch()
        for job in jobs:
            assert gateway.wait_for(job)["status"] == "Succeed", gateway.log(job)
        assert sorted(order.read_text().split()) == names
        for job in jobs:
            lines = gateway.log(job)
            _numbers_are_whole(lines)
        assert gateway.log(jobs[0])[: len(seen)] == seen


def test_engine_and_gateway_killed_together(home: Path, tmp_path: Path) -> None:
    """Nobody is left to tell: the job was begun, so it is not begun again, and says so."""
    ran = tmp_path / "ran"
    code = f"with open({str(ran)!r}, 'a') as f:\n    f.write('ran\\n')\nimport time\ntime.sleep(4242)"
    with served(home) as gateway:
        job = gateway.submit("python", code)
        until(ran.exists, "the job runs")
        gateway.kill()
        for process in gateway.engine_processes():
            process.kill()
        gateway.start()
        task = gateway.wait_for(job)
        assert task["status"] == "Failed"
        assert "engine process ended" in task["errDesc"].lower()
        assert ran.read_text() == "ran\n"


def test_engine_that_left_meanwhile_is_heard_out(home: Path, tmp_path: Path) -> None:
    """The job ends while no gateway runs, and its engine leaves before one comes back."""
    go = tmp_path / "go"
    code = f"import os, time\nwhile not os.path.exists({str(go)!r}):\n    time.sleep(0.01)\nprint('done')"
    with served(home, UJES_ENGINES__ORPHAN_TIMEOUT_S="0.2") as gateway:
        job = gateway.submit("python", code)
        gateway.wait_for(job, "Running")
        gateway.kill()
        go.touch()
        until(lambda: not gateway.engine_processes(), "the engine has left")
        gateway.start()
        assert gateway.wait_for(job)["status"] == "Succeed"
        assert [line for line in gateway.log(job) if line == "done"] == ["done"]


def test_upgrade_leaves_sessions_alive(home: Path) -> None:
    with served(home) as gateway:
        gateway.wait_for(gateway.submit("python", "kept = 42"), "Succeed")
        assert gateway.signal(signal.SIGTERM) == 0
        gateway.start()
        job = gateway.submit("python", "print(kept)")
        gateway.wait_for(job, "Succeed")
        assert gateway.rows(job) == [["42"]]


def test_end_stops_everything(home: Path) -> None:
    with served(home) as gateway:
        job = gateway.submit("python", "import time; time.sleep(4242)")
        gateway.wait_for(job, "Running")
        assert gateway.end() == 0
        assert gateway.engine_processes() == []
        gateway.start()
        task = gateway.task(job)
        assert task["status"] == "Cancelled" and "stopped" in task["errDesc"]


def _numbers_are_whole(lines: list[str]) -> None:
    numbers = [int(line.split()[1]) for line in lines if line.startswith("line ")]
    assert numbers == list(range(len(numbers)))
    last = [int(line.split()[1]) for line in lines if line.startswith("last ")]
    assert last == [len(numbers)]
