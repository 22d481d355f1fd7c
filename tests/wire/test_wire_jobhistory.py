"""The task object and the list of jobs: the tables of `jobhistory.md`."""

from __future__ import annotations

import json
from typing import Any

from tests.wire.parts import ADDRESS, INSTANCE, Wire
from ujes.core.job import JobState

NUMBERS = {"taskID", "createdTime", "updatedTime", "costTime"}
NUMBERS_OR_NULL = {"errCode", "engineStartTime", "requestStartTime", "requestEndTime", "requestSpendTime"}
TEXTS = {
    "instance",
    "strongerExecId",
    "umUser",
    "executeUser",
    "status",
    "requestApplicationName",
    "runType",
    "progress",
}
TEXTS_OR_NULL = {
    "execId",
    "engineInstance",
    "executionCode",
    "logPath",
    "resultLocation",
    "engineType",
    "executeApplicationName",
    "errDesc",
    "paramsJson",
    "sourceJson",
    "sourceTailor",
    "observeInfo",
    "metrics",
    "engineLogPath",
    "ecmInstance",
    "ticketId",
}
OTHERS = {"labels", "canRetry", "subJobs", "isReuse"}


async def task_of(wire: Wire, task_id: int | str, **params: Any) -> dict[str, Any]:
    task: dict[str, Any] = (await wire.data(f"jobhistory/{task_id}/get", **params))["task"]
    return task


def check_types(task: dict[str, Any]) -> None:
    assert set(task) == NUMBERS | NUMBERS_OR_NULL | TEXTS | TEXTS_OR_NULL | OTHERS
    for key, value in task.items():
        if key in NUMBERS:
            assert type(value) is int, key
        elif key in NUMBERS_OR_NULL:
            assert value is None or type(value) is int, key
        elif key in TEXTS:
            assert isinstance(value, str), key
        elif key in TEXTS_OR_NULL:
            assert value is None or isinstance(value, str), key
    assert task["createdTime"] > 2**31
    assert task["updatedTime"] > 2**31
    assert 0 <= task["costTime"] < 2**31
    assert 0.0 <= float(task["progress"]) <= 1.0
    assert type(task["canRetry"]) is bool
    assert all(isinstance(label, str) for label in task["labels"])
    assert not {"params", "source"} & set(task)


async def test_the_task_at_every_time(wire: Wire) -> None:
    submitted = await wire.submit(source={"scriptPath": "a.sql"}, params={"variable": {"a": 1}})
    task_id = submitted["taskID"]
    waiting = await task_of(wire, task_id)
    wire.start(task_id)
    running = await task_of(wire, task_id)
    await wire.finish(task_id)
    ended = await task_of(wire, task_id)
    for task in (waiting, running, ended):
        check_types(task)
        assert task["taskID"] == task_id
        assert task["strongerExecId"] == submitted["execID"]
        assert task["execId"] == f"IDE_hadoop_duckdb_{task_id}"
        assert (task["umUser"], task["executeUser"], task["instance"]) == ("hadoop", "hadoop", ADDRESS)
        assert (task["engineType"], task["executeApplicationName"]) == ("duckdb", "duckdb")
        assert (task["requestApplicationName"], task["runType"]) == ("IDE", "sql")
        assert task["labels"] == ["engineType:duckdb", "userCreator:hadoop-IDE", "codeType:sql"]
        assert task["executionCode"] == "select 1"
        assert json.loads(task["paramsJson"]) == {"variable": {"a": 1}}
        assert json.loads(task["sourceJson"])["scriptPath"] == "a.sql"
        assert task["sourceTailor"].startswith("a.sql")
        assert task["logPath"] == f"file://{wire.log_path(task_id)}"
        assert task["errDesc"] is None
        assert task["errCode"] is None
    assert [task["status"] for task in (waiting, running, ended)] == ["Inited", "Running", "Succeed"]
    assert [task["progress"] for task in (waiting, running, ended)] == ["0.0", "0.1", "1.0"]
    assert waiting["resultLocation"] is None
    assert running["resultLocation"] == ended["resultLocation"] == f"file://{wire.result_dir(task_id)}"
    assert (waiting["engineInstance"], ended["engineInstance"]) == (None, INSTANCE)
    metrics = json.loads(ended["metrics"])
    assert set(metrics) >= {"submitTime", "scheduleTime", "runningTime", "completeTime", "engineInstance"}


async def test_a_failed_task_says_why(wire: Wire) -> None:
    task_id = (await wire.submit())["taskID"]
    wire.start(task_id)
    await wire.finish(task_id, JobState.FAILED, "no such table: t")
    task = await task_of(wire, task_id)
    check_types(task)
    assert (task["status"], task["errCode"], task["errDesc"]) == ("Failed", 60002, "no such table: t")
    assert task["canRetry"] is False


async def test_a_cancelled_task_says_why(wire: Wire) -> None:
    task_id = (await wire.submit())["taskID"]
    await wire.data(f"entrance/{task_id}/kill")
    await wire.gateway.board.settle()
    task = await task_of(wire, task_id)
    check_types(task)
    assert task["status"] == "Cancelled"
    assert "killed by user" in task["errDesc"]
    assert type(task["errCode"]) is int


async def test_brief(wire: Wire) -> None:
    task_id = (await wire.submit())["taskID"]
    task = await task_of(wire, task_id, brief="true")
    filled = {key for key, value in task.items() if value is not None}
    assert filled == {"status", "progress", "taskID", "execId", "logPath", "umUser", "executeUser"}


async def test_every_form_of_the_name(wire: Wire) -> None:
    submitted = await wire.submit()
    assert (await task_of(wire, submitted["execID"]))["taskID"] == submitted["taskID"]


async def test_what_is_not_there_or_not_ones_own(wire: Wire) -> None:
    task_id = (await wire.submit())["taskID"]
    messages = set()
    for name, user in (
        ("999999", "hadoop"),
        (str(task_id), "alice"),
        ("nonsense", "hadoop"),
        ("0", "hadoop"),
    ):
        response = await wire.get(f"jobhistory/{name}/get", user=user)
        assert response.status_code == 400
        assert response.json()["data"] == {}
        messages.add(response.json()["message"])
    sentence = (
        "The corresponding job was not found, or there may be no permission to view the job"
        "(没有找到对应的job，也可能是没有查看该job的权限)"
    )
    assert messages == {sentence}
    assert (await wire.get(f"jobhistory/{task_id}/get", user="admin")).status_code == 200


async def ids(wire: Wire, user: str = "hadoop", **params: Any) -> tuple[list[int], int]:
    data = await wire.data("jobhistory/list", user=user, **params)
    for task in data["tasks"]:
        check_types(task)
    return [task["taskID"] for task in data["tasks"]], data["totalPage"]


async def test_lists(wire: Wire) -> None:
    submitted = [(await wire.submit(f"select {n}"))["taskID"] for n in range(3)]
    first, second, third = submitted
    foreign = (await wire.submit(user="alice"))["taskID"]
    wire.start(first)
    await wire.finish(first)
    wire.start(second)
    newest_first = [third, second, first]
    created = wire.job(first).created_at_ms
    blank = {
        "creator": "",
        "status": "",
        "taskID": "",
        "startDate": "",
        "endDate": "",
        "pageNow": "",
        "pageSize": "",
        "executeApplicationName": "",
        "runType": "",
        "instance": "",
        "engineInstance": "",
        "proxyUser": "",
    }
    for params, expected in (
        ({}, newest_first),
        (blank, newest_first),
        ({"isAdminView": "true"}, newest_first),
        ({"isDeptView": "true"}, newest_first),
        ({"proxyUser": "alice"}, newest_first),
        ({"status": "Succeed"}, [first]),
        ({"status": "Running,Inited,Scheduled"}, [third, second]),
        ({"taskID": second}, [second]),
        ({"taskID": foreign}, []),
        ({"creator": "IDE"}, newest_first),
        ({"creator": "dss"}, []),
        ({"executeApplicationName": "duckdb"}, newest_first),
        ({"executeApplicationName": "spark"}, []),
        ({"runType": "sql"}, newest_first),
        ({"runType": "python"}, []),
        ({"instance": ADDRESS.upper()}, newest_first),
        ({"instance": "elsewhere:9001"}, []),
        ({"engineInstance": INSTANCE}, [second, first]),
        ({"startDate": created, "endDate": created}, newest_first),
        ({"startDate": 1, "endDate": 2}, []),
        ({"unknown": "x", "isAdminView": "maybe"}, newest_first),
    ):
        assert await ids(wire, **params) == (expected, len(expected)), params
    assert await ids(wire, pageSize=2) == ([third, second], 3)
    assert await ids(wire, pageSize=2, pageNow=2) == ([first], 3)
    assert await ids(wire, pageNow=10**17) == ([], 3)
    assert await ids(wire, pageSize=10**17) == (newest_first, 3)
    assert await ids(wire, user="admin") == ([], 0)
    assert await ids(wire, user="admin", isAdminView="true") == ([foreign, *newest_first], 4)
    assert await ids(wire, user="admin", isAdminView="true", proxyUser="alice") == ([foreign], 1)


async def test_filters_that_cannot_be(wire: Wire) -> None:
    for params, words in (
        ({"creator": "a b"}, "Invalid creator : a b"),
        ({"creator": "a'--"}, "Invalid creator : a'--"),
        ({"executeApplicationName": "ü"}, "Invalid applicationName : ü"),
        ({"instance": "a/b"}, "Invalid instances : a/b"),
        ({"engineInstance": "a b"}, "Invalid instances : a b"),
        ({"status": "Done"}, "Invalid status"),
        ({"taskID": "x"}, "taskID"),
        ({"startDate": "2026-01-01"}, "startDate"),
        ({"endDate": "1.5"}, "endDate"),
        ({"pageNow": "-1"}, "pageNow"),
        ({"pageSize": "0"}, "pageSize"),
        ({"pageSize": "9" * 40}, "pageSize"),
    ):
        response = await wire.get("jobhistory/list", **params)
        assert response.status_code == 400, params
        assert words in response.json()["message"]
