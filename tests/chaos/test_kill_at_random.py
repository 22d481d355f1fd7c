"""The gateway is killed again and again while clients submit; whatever was acknowledged ends right, once."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import httpx
import pytest

from tests.support.served import Served, served

JOBS = 24
KILLS = 4

PYTHON = """
import os
file = os.open({ran!r}, os.O_WRONLY | os.O_APPEND)
os.write(file, b'{name} ')
print('{name}')
"""
SHELL = "echo {name} >> {ran}; echo {name}"
SQL = "select '{name}' as name"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_killed_at_random(home: Path, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    ran = tmp_path / "ran"
    ran.touch()
    kill_after = sorted(chance.sample(range(1, JOBS), KILLS))
    acknowledged: dict[str, int] = {}
    with served(home, UJES_LIMITS__RUNNING_PER_QUEUE="2") as gateway:
        for number in range(JOBS):
            name = f"job{number}"
            engine = chance.choice(["python", "shell", "duckdb"])
            code = {"python": PYTHON, "shell": SHELL, "duckdb": SQL}[engine].format(name=name, ran=str(ran))
            if number in kill_after:
                _kill_in_the_middle(gateway, engine, code, name, acknowledged)
            else:
                acknowledged[name] = gateway.submit(engine, code)
        _check(gateway, acknowledged, Counter(ran.read_text().split()), ran)


def _kill_in_the_middle(
    gateway: Served, engine: str, code: str, name: str, acknowledged: dict[str, int]
) -> None:
    """Kill while a submit is under way or just done; a client that got no answer asks again later."""
    assert gateway.process is not None
    gateway.process.kill()
    try:
        acknowledged[name] = gateway.submit(engine, code)
    except httpx.HTTPError:
        gateway.wait()
        gateway.start()
    else:
        gateway.wait()
        gateway.start()


def _check(gateway: Served, acknowledged: dict[str, int], before: Counter[str], ran: Path) -> None:
    assert max(before.values(), default=1) == 1
    for name, job in acknowledged.items():
        task = gateway.wait_for(job)
        assert task["status"] == "Succeed", (task["errDesc"], gateway.log(job))
        assert gateway.rows(job)[0] == [name]
    assert max(Counter(ran.read_text().split()).values()) == 1, "a job ran twice"
    listed = gateway.data("GET", "/jobhistory/list", params={"pageSize": 100})["tasks"]
    assert {task["taskID"] for task in listed} >= set(acknowledged.values())
    assert len({task["strongerExecId"] for task in listed}) == len(listed)
