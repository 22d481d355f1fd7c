"""Processes a python job forks are the job's own: what happens to them does not happen to the engine."""

from __future__ import annotations

import pytest

from tests.support.served import Served

FORK = "import os, time\npid = os.fork()\nif pid == 0:\n    time.sleep(60)\n    os._exit(0)\n"


def run(gateway: Served, code: str, creator: str) -> list[list[str | None]]:
    job = gateway.submit("python", code, creator=creator)
    gateway.wait_for(job, "Succeed")
    return gateway.rows(job)


def test_ending_a_child_leaves_the_session_alone(gateway: Served) -> None:
    """SIGTERM to a child is how `multiprocessing` ends its processes."""
    gateway.wait_for(gateway.submit("python", "kept = 7", creator="child"), "Succeed")
    code = (
        "import multiprocessing, time\n"
        "for _ in range(20):\n"
        "    child = multiprocessing.Process(target=time.sleep, args=(60,))\n"
        "    child.start(); child.terminate(); child.join()\n"
        "    print(child.exitcode)"
    )
    assert run(gateway, code, "child") == [["-15"]] * 20
    code = "from multiprocessing import Pool\nwith Pool(3) as pool:\n    print(pool.map(abs, [-1, -2]))"
    assert run(gateway, code, "child") == [["[1, 2]"]]
    assert run(gateway, "print(kept)", "child") == [["7"]]


@pytest.mark.parametrize(
    ("end", "said"), [("os._exit(9)", "exit status 9"), ("os.kill(os.getpid(), 9)", "signal 9")]
)
def test_an_engine_that_dies_is_missed_while_its_child_lives(gateway: Served, end: str, said: str) -> None:
    job = gateway.submit("python", FORK + end, creator="orphan")
    assert said in gateway.wait_for(job, "Failed")["errDesc"]


def test_an_engine_asked_to_end_fails_its_job_with_the_reason(gateway: Served) -> None:
    """Nobody killed the job, so it is not Cancelled."""
    job = gateway.submit("python", "import os\nos.kill(os.getpid(), 15)\nwhile True: pass", creator="term")
    assert "asked to end by SIGTERM" in gateway.wait_for(job, "Failed")["errDesc"]
