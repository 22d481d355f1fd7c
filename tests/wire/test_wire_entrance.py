"""Submit, follow and kill over the wire: the tables of `entrance.md`."""

from __future__ import annotations

from itertools import product
from typing import Any

from tests.wire.parts import ADDRESS, API, Envelope, Wire, opened
from ujes.core.job import JobState, Progressed
from ujes.link.messages import Stage
from ujes.settings import Settings

SUBMITTED = {"executionContent": {"code": "select 1", "runType": "sql"}, "labels": {"engineType": "duckdb"}}
EXECUTED = {"executeApplicationName": "duckdb", "executionCode": "select 1", "runType": "sql"}

# --- submit and execute -----------------------------------------------------------------------


async def test_submit_answers_with_the_modern_name(wire: Wire) -> None:
    response = await wire.call("POST", "entrance/submit", json=SUBMITTED)
    body = response.json()
    task_id = body["data"]["taskID"]
    assert type(task_id) is int
    assert body == {
        "method": f"{API}/entrance/submit",
        "status": 0,
        "message": "OK",
        "data": {
            "taskID": task_id,
            "execID": f"exec_id018014linkis-cg-entrance{ADDRESS}IDE_hadoop_duckdb_{task_id}",
        },
    }


async def test_execute_answers_with_the_name_of_the_documents(wire: Wire) -> None:
    body = (await wire.call("POST", "entrance/execute", json=EXECUTED)).json()
    task_id = body["data"]["taskID"]
    assert body["data"]["execID"] == f"030614IDEduckdb{ADDRESS}IDE_hadoop_{task_id}"
    assert body["method"] == f"{API}/entrance/execute"


async def test_either_body_at_either_path(wire: Wire) -> None:
    for path, body in product(["entrance/execute", "entrance/submit"], [SUBMITTED, EXECUTED]):
        assert (await wire.call("POST", path, json=body)).status_code == 200


async def test_wrapped_bodies(wire: Wire) -> None:
    for body in (SUBMITTED, EXECUTED):
        payload = {**body, "websocketTag": "t"}
        wrapped = {"method": f"{API}/entrance/execute", "data": payload, "websocketTag": "t"}
        assert (await wire.call("POST", "entrance/execute", json=wrapped)).status_code == 200


async def test_headers_say_nothing_about_a_body(wire: Wire) -> None:
    content = b'{"executeApplicationName":"duckdb","executionCode":"select 1"}'
    for headers in (
        {"Content-Encoding": "utf-8"},
        {"Content-Encoding": "utf-8", "Content-Type": "application/json"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
    ):
        response = await wire.call("POST", "entrance/execute", content=content, headers=headers)
        assert response.status_code == 200


async def test_an_unknown_engine_leaves_a_failed_row(wire: Wire) -> None:
    response = await wire.call("POST", "entrance/execute", json=EXECUTED | {"executeApplicationName": "hive"})
    body = response.json()
    assert response.status_code == 400
    assert "hive" in body["data"]["errorMsg"]["desc"]
    assert "duckdb" in body["data"]["errorMsg"]["desc"]
    assert body["data"]["errorMsg"]["serviceKind"] == "linkis-cg-entrance"
    tasks = (await wire.data("jobhistory/list"))["tasks"]
    assert [task["status"] for task in tasks] == ["Failed"]
    assert tasks[0]["errDesc"] == body["data"]["errorMsg"]["desc"]


async def test_a_refusal_by_the_body_leaves_no_row(wire: Wire) -> None:
    response = await wire.call("POST", "entrance/submit", json=SUBMITTED | {"labels": {}})
    error = response.json()["data"]["errorMsg"]
    assert error["errCode"] == 20008
    assert (error["ip"], error["port"], error["level"]) == ("127.0.0.1", 9001, 2)
    assert response.json()["message"].startswith("error code(错误码): 20008, error message(错误信息): ")
    assert (await wire.data("jobhistory/list"))["totalPage"] == 0


async def test_the_user_of_a_token_is_whom_the_job_runs_as(wire: Wire) -> None:
    body = SUBMITTED | {"executeUser": "root", "submitUser": "root", "umUser": "root"}
    task_id = (await wire.call("POST", "entrance/submit", user="alice", json=body)).json()["data"]["taskID"]
    assert wire.job(task_id).request.run_as == "alice"
    assert wire.job(task_id).request.submitter == "alice"


# --- names ------------------------------------------------------------------------------------


def names_of(task_id: int) -> dict[str, str]:
    return {
        "modern": f"exec_id018014linkis-cg-entrance{ADDRESS}IDE_hadoop_duckdb_{task_id}",
        "legacy": f"030614IDEduckdb{ADDRESS}IDE_hadoop_{task_id}",
        "bare": str(task_id),
    }


FORMS = ["modern", "legacy", "bare"]
POLLED = ["status", "log", "progress", "progressWithResource"]


async def polled(wire: Wire, task_id: int) -> dict[tuple[str, str], Envelope]:
    """Every polled endpoint, asked by every form of the job's name."""
    names = names_of(task_id)
    return {
        (form, endpoint): await wire.data(f"entrance/{names[form]}/{endpoint}")
        for form, endpoint in product(FORMS, POLLED)
    }


async def test_every_form_at_every_time(settings: Settings) -> None:
    async with opened(settings) as wire:
        task_id = (await wire.submit())["taskID"]
        waiting = await polled(wire, task_id)
        wire.start(task_id)
        running = await polled(wire, task_id)
        await wire.finish(task_id)
        ended = await polled(wire, task_id)
    async with opened(settings) as wire:
        restarted = await polled(wire, task_id)
    names = names_of(task_id)
    for answers, state in (
        (waiting, "Inited"),
        (running, "Running"),
        (ended, "Succeed"),
        (restarted, "Succeed"),
    ):
        bare = "" if state == "Succeed" else names["modern"]
        for (form, endpoint), data in answers.items():
            assert data["taskID"] == task_id
            assert data["execID"] == (bare if form == "bare" else names[form])
            assert endpoint != "status" or data["status"] == state


ON_JOBS = [
    ("GET", "status"),
    ("GET", "log"),
    ("GET", "progress"),
    ("GET", "progressWithResource"),
    ("GET", "kill"),
    ("POST", "kill"),
    ("GET", "pause"),
]
UNKNOWN = [
    "999999",
    f"exec_id018014linkis-cg-entrance{ADDRESS}IDE_hadoop_duckdb_999999",
    f"030614IDEduckdb{ADDRESS}IDE_hadoop_999999",
]
MALFORMED = [
    "nonsense",
    "exec_id",
    "exec_id018014linkis",
    "03xx18IDE",
    "030418IDEhive",
    "1.5",
    "-1",
    "²",
    "a%20b",
]


async def test_unknown_and_malformed_names(wire: Wire) -> None:
    for (verb, endpoint), name in product(ON_JOBS, [*UNKNOWN, *MALFORMED, "%C2%B2"]):
        response = await wire.call(verb, f"entrance/{name}/{endpoint}")
        assert response.status_code == 400
        assert response.json()["message"].endswith(".")
        assert response.json()["data"] == {}


async def test_a_foreign_job_is_as_good_as_unknown(wire: Wire) -> None:
    names, nobodys_names = names_of((await wire.submit())["taskID"]), names_of(999999)
    for (verb, endpoint), form in product(ON_JOBS, FORMS):
        foreign = await wire.call(verb, f"entrance/{names[form]}/{endpoint}", user="alice")
        nobodys = await wire.call(verb, f"entrance/{nobodys_names[form]}/{endpoint}", user="alice")
        assert foreign.status_code == nobodys.status_code == 400
        message = foreign.json()["message"].replace(names[form], nobodys_names[form])
        assert message == nobodys.json()["message"]
        assert foreign.json()["data"] == nobodys.json()["data"] == {}


async def test_a_name_that_does_not_fit_its_job_is_unknown(wire: Wire) -> None:
    task_id = (await wire.submit())["taskID"]
    of_python = f"030614IDEpython{ADDRESS}IDE_hadoop_{task_id}"
    of_alice = f"030614IDEduckdb{ADDRESS}IDE_alice_{task_id}"
    for (verb, endpoint), name in product(ON_JOBS, [of_python, of_alice]):
        assert (await wire.call(verb, f"entrance/{name}/{endpoint}")).status_code == 400
    assert wire.job(task_id).state is JobState.INITED


async def test_administrators_see_every_job(wire: Wire) -> None:
    task_id = (await wire.submit())["taskID"]
    assert (await wire.data(f"entrance/{task_id}/status", user="admin"))["status"] == "Inited"


async def test_a_task_id_helps_out_an_unknown_name(wire: Wire) -> None:
    task_id = (await wire.submit())["taskID"]
    foreign_name = "030418IDEhivebdpdwc010004:10087IDE_hadoop_21"
    data = await wire.data(f"entrance/{foreign_name}/status", taskID=task_id)
    assert data == {"status": "Inited", "execID": foreign_name, "taskID": task_id}
    response = await wire.get(f"entrance/{foreign_name}/status", user="alice", taskID=task_id)
    assert response.status_code == 400


# --- progress ---------------------------------------------------------------------------------


async def test_progress(wire: Wire) -> None:
    task_id = (await wire.submit())["taskID"]
    waiting = await wire.data(f"entrance/{task_id}/progress")
    assert (waiting["progress"], waiting["progressInfo"]) == (0.0, [])
    wire.start(task_id)
    wire.gateway.board.tell(task_id, Progressed(value=0.5))
    stages = [Stage(id="job-1", total=10, running=5, succeeded=2), Stage(id="job-2", total=0)]
    wire.gateway.board.show_stages(task_id, stages)
    running = await wire.data(f"entrance/{task_id}/progressWithResource")
    assert running["progress"] == 0.5
    assert running["progressInfo"] == [
        {"id": "job-1", "succeedTasks": 2, "failedTasks": 0, "runningTasks": 5, "totalTasks": 10}
    ]
    assert running["yarnResource"] is None
    await wire.finish(task_id)
    ended = await wire.data(f"entrance/{task_id}/progress")
    assert (ended["progress"], ended["progressInfo"]) == (1.0, [])


# --- log --------------------------------------------------------------------------------------

LINES = [
    "2026-01-01 10:00:00.001 INFO one",
    "2026-01-01 10:00:00.002 WARN two",
    "2026-01-01 10:00:00.003 ERROR three",
    "  at somewhere",
    "",
    "2026-01-01 10:00:00.004 SYSTEM-WARN five",
    "2026-01-01 10:00:00.005 INFO com.netflix chatters",
    "2026-01-01 10:00:00.006 ERROR com.netflix breaks",
]


async def log_of_its_own(wire: Wire, lines: list[str]) -> int:
    """A job whose log has these lines only."""
    task_id: int = (await wire.submit())["taskID"]
    wire.gateway.logs.settle(wire.job(task_id))
    wire.log_path(task_id).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    wire.gateway.logs._open.clear()
    return task_id


async def test_the_four_texts(wire: Wire) -> None:
    task_id = await log_of_its_own(wire, LINES)
    data = await wire.data(f"entrance/{task_id}/log")
    errors, warnings, information, every = data["log"]
    assert errors == f"{LINES[2]}\n{LINES[7]}"
    assert warnings == f"{LINES[1]}\n{LINES[5]}"
    assert information == f"{LINES[0]}\n{LINES[3]}"
    assert every == "\n".join(LINES[at] for at in (0, 1, 2, 3, 5, 7))
    assert data["fromLine"] == 9


async def test_one_text_on_demand(wire: Wire) -> None:
    task_id = await log_of_its_own(wire, LINES)
    assert (await wire.data(f"entrance/{task_id}/log", distinctLevel="false"))["log"] == "\n".join(LINES)
    assert len((await wire.data(f"entrance/{task_id}/log", distinctLevel="0"))["log"]) == 4


#: Query, first line shown, how many, and the answer's `fromLine`, of a log with 250 lines.
PARTS: list[tuple[dict[str, Any], int, int, int]] = [
    ({}, 1, 100, 101),
    ({"fromLine": 0}, 1, 100, 101),
    ({"fromLine": -5}, 1, 100, 101),
    ({"fromLine": 1, "size": 3}, 1, 3, 4),
    ({"fromLine": 4, "size": 3}, 4, 3, 7),
    ({"fromLine": 1, "size": -1}, 1, 250, 251),
    ({"fromLine": 249, "size": 10}, 249, 2, 251),
    ({"fromLine": 251}, 251, 0, 251),
    ({"fromLine": 9000, "size": 5}, 9000, 0, 9000),
    ({"fromLine": 0, "size": 0}, 1, 0, 0),
    ({"fromLine": "", "size": " "}, 1, 100, 101),
]


async def test_where_a_log_goes_on(wire: Wire) -> None:
    task_id = await log_of_its_own(wire, [f"2026-01-01 10:00:00.001 INFO {n}" for n in range(1, 251)])
    for params, first, count, next_line in PARTS:
        data = await wire.data(f"entrance/{task_id}/log", **params)
        shown = data["log"][3].split("\n") if data["log"][3] else []
        assert [line.rpartition(" ")[2] for line in shown] == [str(n) for n in range(first, first + count)]
        assert data["fromLine"] == next_line


async def test_lines_are_numbers(wire: Wire) -> None:
    task_id = (await wire.submit())["taskID"]
    for name, text in (("fromLine", "x"), ("size", "1.5"), ("size", "9" * 30)):
        response = await wire.get(f"entrance/{task_id}/log", **{name: text})
        assert response.status_code == 400
        assert name in response.json()["message"]


async def test_following_a_log_gives_each_line_once(wire: Wire) -> None:
    task_id = await log_of_its_own(wire, [])
    shown: list[str] = []
    from_line, written = 0, 0
    for size in (1, 7, 2, 100, 3, 100):
        wire.log(task_id, [f"line {written + n}" for n in range(5)])
        written += 5
        data = await wire.data(f"entrance/{task_id}/log", fromLine=from_line, size=size)
        shown += data["log"][2].split("\n") if data["log"][2] else []
        from_line = data["fromLine"]
    assert shown == [f"line {n}" for n in range(written)]


# --- kill -------------------------------------------------------------------------------------


async def test_killing_a_waiting_job(wire: Wire) -> None:
    for verb, form in product(["GET", "POST"], FORMS):
        task_id = (await wire.submit())["taskID"]
        name = names_of(task_id)[form]
        body = (await wire.call(verb, f"entrance/{name}/kill")).json()
        assert body["method"] == f"{API}/entrance/{name}/kill"
        assert body["data"] == {"execID": names_of(task_id)["modern"] if form == "bare" else name}
        await wire.gateway.board.settle()
        assert (await wire.data(f"entrance/{name}/status"))["status"] == "Cancelled"


async def test_killing_a_running_job_is_recorded(wire: Wire) -> None:
    task_id = (await wire.submit())["taskID"]
    wire.start(task_id)
    await wire.data(f"entrance/{task_id}/kill")
    assert (await wire.data(f"entrance/{task_id}/status"))["status"] == "Running"
    job = await wire.finish(task_id)
    assert job.state is JobState.CANCELLED
    assert "hadoop" in (job.error or "")


async def test_a_finished_job_is_not_killed(wire: Wire) -> None:
    job = await wire.finished()
    for name in names_of(job.id).values():
        response = await wire.get(f"entrance/{name}/kill")
        assert response.status_code == 400
        assert response.json()["data"] == {}
        with_number = await wire.get(f"entrance/{name}/kill", taskID=job.id)
        assert with_number.status_code == 200
        assert with_number.json()["data"] == {}
    assert wire.job(job.id) == job


async def test_an_administrator_kills_anybodys_job(wire: Wire) -> None:
    task_id = (await wire.submit())["taskID"]
    await wire.data(f"entrance/{task_id}/kill", user="admin")
    await wire.gateway.board.settle()
    assert wire.job(task_id).state is JobState.CANCELLED


async def kill_jobs(wire: Wire, id_list: Any, task_ids: Any, user: str = "hadoop") -> Any:
    body = {"idList": id_list, "taskIDList": task_ids}
    return await wire.call("POST", "entrance/any/killJobs", user=user, json=body)


async def test_kill_jobs(wire: Wire) -> None:
    first, second = [(await wire.submit())["taskID"] for _ in range(2)]
    ended = (await wire.finished()).id
    names = [names_of(first)["modern"], names_of(second)["legacy"], names_of(ended)["modern"]]
    messages = (await kill_jobs(wire, names, [first, str(second), ended])).json()["data"]["messages"]
    assert [message["method"] for message in messages] == [f"{API}/entrance/{name}/kill" for name in names]
    assert [message["status"] for message in messages] == [0, 0, 0]
    assert [message["data"] for message in messages] == [{"execID": names[0]}, {"execID": names[1]}, {}]
    await wire.gateway.board.settle()
    assert [wire.job(task_id).state.value for task_id in (first, second, ended)] == [
        "Cancelled",
        "Cancelled",
        "Succeed",
    ]


WRONG_LISTS: list[tuple[Any, Any]] = [
    (None, None),
    ("1", "1"),
    ({}, []),
    (["1"], []),
    ([None], [1]),
    ([["1"]], [1]),
    (["nonsense"], [1]),
    (["999999"], [999999]),
    (["1"] * 1001, ["1"] * 1001),
]


async def test_wrong_kill_jobs(wire: Wire) -> None:
    for id_list, task_ids in WRONG_LISTS:
        assert (await kill_jobs(wire, id_list, task_ids)).status_code == 400


async def test_one_foreign_job_keeps_all_alive(wire: Wire) -> None:
    own, foreign = (await wire.submit())["taskID"], (await wire.submit(user="alice"))["taskID"]
    assert (await kill_jobs(wire, [str(own), str(foreign)], [own, foreign])).status_code == 400
    await wire.gateway.board.settle()
    assert wire.job(own).state is JobState.INITED
    assert wire.job(foreign).state is JobState.INITED


async def test_pause_does_nothing(wire: Wire) -> None:
    task = await wire.submit()
    for verb in ("GET", "POST"):
        body = (await wire.call(verb, f"entrance/{task['execID']}/pause")).json()
        assert body["data"] == {"execID": task["execID"]}
    assert wire.job(task["taskID"]).state is JobState.INITED
