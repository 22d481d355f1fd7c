"""The main job on the real command: submit, follow, read - on each real engine."""

from __future__ import annotations

import httpx
import pytest

from tests.support.served import Served


def test_sql_rows_types_and_nulls(gateway: Served) -> None:
    job = gateway.submit(
        "duckdb", "select 1 as one, 'zwei' as two, null::int as three, 1.50::decimal(10,2) as four"
    )
    task = gateway.wait_for(job)
    assert task["status"] == "Succeed", task
    (path,) = gateway.results(job)
    page = gateway.page(path)
    assert [column["columnName"] for column in page["metadata"]] == ["one", "two", "three", "four"]
    assert [column["dataType"] for column in page["metadata"]] == ["int", "string", "int", "decimal"]
    assert page["fileContent"] == [["1", "zwei", "NULL", "1.50"]]
    assert gateway.page(path, nullValue="LINKIS_NULL")["fileContent"] == [["1", "zwei", None, "1.50"]]


def test_every_row_returning_statement_has_a_result_set(gateway: Served) -> None:
    code = (
        "create or replace table t(a int); insert into t values (1),(2); "
        "select * from t order by a; show tables"
    )
    job = gateway.submit("duckdb", code)
    gateway.wait_for(job, "Succeed")
    paths = gateway.results(job)
    assert [path.rpartition("/")[2] for path in paths] == ["_0.dolphin", "_1.dolphin"]
    assert gateway.page(paths[0])["fileContent"] == [["1"], ["2"]]
    assert ["t"] in gateway.page(paths[1])["fileContent"]


def test_a_failing_statement_stops_the_job_and_keeps_what_was_before(gateway: Served) -> None:
    job = gateway.submit("duckdb", "select 1 as a; select * from nowhere; select 3 as c")
    task = gateway.wait_for(job, "Failed")
    assert "nowhere" in task["errDesc"] and isinstance(task["errCode"], int)
    assert task["progress"] == "1.0"
    assert len(gateway.results(job)) == 1
    log = "\n".join(gateway.log(job))
    assert ">> select * from nowhere" in log
    assert ">> select 3" not in log


def test_python_keeps_its_namespace_and_shows_tables(gateway: Served) -> None:
    first = gateway.submit(
        "python", "import pandas as pd\nframe = pd.DataFrame({'a': [1, 2], 'b': ['x', None]})\nprint('made')"
    )
    gateway.wait_for(first, "Succeed")
    second = gateway.submit("python", "print(len(frame))\nframe")
    task = gateway.wait_for(second, "Succeed")
    assert task["isReuse"] is True
    kinds = {
        gateway.page(path)["type"]: gateway.page(path)["fileContent"] for path in gateway.results(second)
    }
    assert kinds["1"] == [["2"]]
    assert kinds["2"] == [["1", "x"], ["2", "NULL"]]


def test_python_traceback_names_the_line(gateway: Served) -> None:
    job = gateway.submit("python", "# a comment\n\nx = 1\nx / 0\n")
    task = gateway.wait_for(job, "Failed")
    assert task["errCode"] == 60002
    assert "ZeroDivisionError" in task["errDesc"] and "line 4" in task["errDesc"]


def test_shell_streams_and_fails_with_its_last_words(gateway: Served) -> None:
    job = gateway.submit("shell", "echo out; for i in 1 2 3 4 5 6 7 8; do echo err$i >&2; done; exit 3")
    task = gateway.wait_for(job, "Failed")
    assert task["errCode"] == 50037
    assert all(f"err{i}" in task["errDesc"] for i in (4, 5, 6, 7, 8)) and "err3" not in task["errDesc"]
    assert gateway.rows(job) == [["out"]]


def test_variables_are_put_in_and_undefined_ones_stay(gateway: Served) -> None:
    params = {"variable": {"who": "world"}, "configuration": {}}
    job = gateway.submit("shell", 'x=shell; echo "hello ${who} from ${x}"', params=params)
    gateway.wait_for(job, "Succeed")
    assert gateway.rows(job) == [["hello world from shell"]]


def test_log_is_followed_without_gap_or_repetition(gateway: Served) -> None:
    job = gateway.submit("python", "for i in range(5000):\n    print('line', i)")
    gateway.wait_for(job, "Succeed")
    lines = [line for line in gateway.log(job) if line.startswith("line ")]
    assert lines == [f"line {i}" for i in range(5000)]


def test_execute_once_gets_an_engine_of_its_own(gateway: Served) -> None:
    first = gateway.submit("python", "y = 1")
    gateway.wait_for(first, "Succeed")
    once = gateway.submit("python", "print('y' in globals())", labels={"executeOnce": ""})
    task = gateway.wait_for(once, "Succeed")
    assert task["isReuse"] is False
    assert gateway.rows(once) == [["False"]]


def test_unknown_engine_is_a_stored_failed_row(gateway: Served) -> None:
    body = {
        "executionContent": {"code": "1", "runType": "sql"},
        "labels": {"engineType": "oracle-1", "userCreator": "admin-IDE"},
    }
    envelope = gateway.call("POST", "/entrance/submit", json=body)
    assert envelope["status"] == 1
    assert all(word in envelope["message"] for word in ("oracle", "duckdb", "python", "shell"))
    newest = gateway.data("GET", "/jobhistory/list", params={"pageSize": 1})["tasks"][0]
    assert (newest["status"], newest["engineType"]) == ("Failed", "oracle")
    assert "oracle" in newest["errDesc"]


@pytest.mark.parametrize("form", ["{exec}", "{task}"])
def test_ids_answer_after_the_end(gateway: Served, form: str) -> None:
    body = {
        "executionContent": {"code": "select 1", "runType": "sql"},
        "labels": {"engineType": "duckdb", "userCreator": "admin-IDE"},
    }
    data = gateway.data("POST", "/entrance/submit", json=body)
    gateway.wait_for(data["taskID"], "Succeed")
    name = form.format(exec=data["execID"], task=data["taskID"])
    assert gateway.data("GET", f"/entrance/{name}/status")["status"] == "Succeed"
    assert gateway.data("GET", f"/entrance/{name}/progress")["progress"] == 1.0
    assert len(gateway.data("GET", f"/entrance/{name}/log")["log"]) == 4


def test_another_users_job_is_unknown(gateway: Served) -> None:
    job = gateway.submit("duckdb", "select 1", user="alice")
    gateway.wait_for(job, user="alice")
    strange = gateway.call("GET", f"/entrance/{job}/status", user="bob")
    unknown = gateway.call("GET", "/entrance/99999999/status", user="bob")
    assert strange["status"] == unknown["status"] == 1
    assert strange["message"].replace(str(job), "N") == unknown["message"].replace("99999999", "N")


def test_metrics_count_what_ended(gateway: Served) -> None:
    job = gateway.submit("shell", "true", creator="counted")
    gateway.wait_for(job, "Succeed")
    text = httpx.get(f"{gateway.url}/metrics").text
    counts = {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if line[0] != "#"
    }
    assert counts['ujes_jobs_ended_total{engine="shell",state="Succeed"}'] >= 1
    assert counts['ujes_jobs_ran_seconds_total{engine="shell"}'] > 0
    assert counts["ujes_faults_total"] == 0


@pytest.mark.parametrize(
    "code",
    [
        "select * from read_csv('/etc/passwd')",
        "select * from read_text('{home}/local-token')",
        "select * from read_text('../../../etc/passwd')",
        "copy (select 1) to '{home}/results/stray.csv'",
        "attach '{home}/ujes.db' as other",
        "install httpfs",
        "set enable_external_access = true",
    ],
)
def test_sql_stays_inside_the_users_own_folder(gateway: Served, code: str) -> None:
    job = gateway.submit("duckdb", code.format(home=gateway.home), user="mallory")
    task = gateway.wait_for(job, "Failed", user="mallory")
    assert task["errCode"] == 40002
    assert not (gateway.home / "results" / "stray.csv").exists()


def test_relative_files_are_the_users_own(gateway: Served) -> None:
    code = "copy (select 7 as seven) to 'mine.csv'; select * from 'mine.csv'"
    job = gateway.submit("duckdb", code, user="carol")
    gateway.wait_for(job, "Succeed", user="carol")
    assert gateway.rows(job, user="carol") == [["7"]]
    assert (gateway.home / "users" / "carol" / "mine.csv").is_file()
    python = gateway.submit(
        "python", "import os; print(open(os.path.expanduser('~/mine.csv')).read())", user="carol"
    )
    gateway.wait_for(python, "Succeed", user="carol")
    assert ["7"] in gateway.rows(python, user="carol")
