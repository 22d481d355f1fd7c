"""Submit and execute bodies: the tables of `entrance.md`, section 4."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ujes.api.linkis.bodies import job_request
from ujes.core.errors import UserMistake
from ujes.core.job import JobRequest

SUBMIT: dict[str, Any] = {
    "executionContent": {"code": "show tables", "runType": "sql"},
    "labels": {"engineType": "duckdb-2.0", "userCreator": "hadoop-IDE"},
}
EXECUTE: dict[str, Any] = {
    "executeApplicationName": "duckdb",
    "executionCode": "show tables",
    "runType": "sql",
}


def request_of(body: dict[str, Any], user: str = "hadoop") -> JobRequest:
    return job_request(body, submitter=user, run_as=user, peer="10.0.0.1")


def submit(**changes: Any) -> JobRequest:
    return request_of(SUBMIT | changes)


def submit_labels(**labels: Any) -> JobRequest:
    return submit(labels={"engineType": "duckdb", **labels})


def execute(**changes: Any) -> JobRequest:
    return request_of(EXECUTE | changes)


def test_a_modern_body() -> None:
    request = submit(
        params={
            "variable": {"dt": 20240101, "on": True, "rate": 0.5, "none": None},
            "configuration": {"special": {}, "runtime": {"a": "b"}, "startup": {"cores": 2}},
        },
        source={"scriptPath": "file:///home/hadoop/1.hql", "line": 3},
        executeUser="somebody",
        formatCode=True,
        unknown=[1],
    )
    assert (request.submitter, request.run_as, request.creator) == ("hadoop", "hadoop", "IDE")
    assert (request.engine, request.engine_version, request.run_type) == ("duckdb", "2.0", "sql")
    assert request.code == "show tables"
    assert request.variables == {"dt": "20240101", "on": "true", "rate": "0.5"}
    assert request.startup == {"cores": "2"}
    assert request.runtime == {"a": "b"}
    assert request.source == {
        "scriptPath": "file:///home/hadoop/1.hql",
        "line": "3",
        "requestIP": "10.0.0.1",
    }
    assert '"cores":2' in request.params_json


def test_what_the_python_sdk_sends_needs_no_params_and_no_source() -> None:
    request = submit()
    assert request.params_json == "{}"
    assert request.source == {"requestIP": "10.0.0.1"}


def test_null_params_and_source_count_as_missing() -> None:
    request = submit(params=None, source=None)
    assert request.params_json == "{}"
    assert submit(params={"variable": None, "configuration": {"startup": None}}).variables == {}


def test_jdbc_and_cli_name_the_language_by_label() -> None:
    body = {
        "executionContent": {"code": "select 1"},
        "labels": {
            "engineType": "duckdb-2.4.3",
            "codeType": "sql",
            "executeOnce": "",
            "userCreator": "hadoop-LINKISCLI",
        },
    }
    request = request_of(body)
    assert (request.run_type, request.creator) == ("sql", "LINKISCLI")
    assert request.labels["executeOnce"] == ""


def test_run_type_wins_over_the_code_type_label() -> None:
    request = submit_labels(codeType="py")
    assert request.run_type == "sql"
    assert request.labels["codeType"] == "sql"


@pytest.mark.parametrize(
    ("label", "engine", "version"),
    [
        ("duckdb", "duckdb", ""),
        ("spark-3.2.1", "spark", "3.2.1"),
        ("spark-3.2-SNAPSHOT", "spark", "3.2-SNAPSHOT"),
        ('{"engineType":"spark","version":"2.4.3"}', "spark", "2.4.3"),
        ({"engineType": "spark", "version": "2.4.3"}, "spark", "2.4.3"),
        ({"engineType": "spark"}, "spark", ""),
        ("duckdb-*", "duckdb", "*"),
    ],
)
def test_engine_labels(label: Any, engine: str, version: str) -> None:
    request = submit(labels={"engineType": label})
    assert (request.engine, request.engine_version) == (engine, version)


@pytest.mark.parametrize(
    ("label", "user", "creator"),
    [
        (None, "hadoop", "IDE"),
        ("", "hadoop", "IDE"),
        ("hadoop-IDE", "hadoop", "IDE"),
        ("HADOOP-dss", "hadoop", "dss"),
        ("a-b-IDE", "a-b", "IDE"),
        ({"user": "hadoop", "creator": "my-app"}, "hadoop", "my-app"),
        ('{"user":"hadoop","creator":"x"}', "hadoop", "x"),
    ],
)
def test_creator_labels(label: Any, user: str, creator: str) -> None:
    request = request_of(SUBMIT | {"labels": {"engineType": "duckdb", "userCreator": label}}, user)
    assert request.creator == creator
    assert request.labels["userCreator"] == f"{user}-{creator}"


def test_unknown_labels_are_kept_as_text() -> None:
    labels = submit_labels(route="r", yes=True, many=[1, 2], nothing=None).labels
    assert (labels["route"], labels["yes"], labels["many"]) == ("r", "true", "[1,2]")
    assert "nothing" not in labels


@pytest.mark.parametrize("value", ["5", 5, "0"])
def test_timeouts_are_digits(value: Any) -> None:
    assert submit_labels(jobRunningTimeout=value).labels["jobRunningTimeout"] == str(value)


def test_a_legacy_body() -> None:
    request = execute(
        requestApplicationName="dss", params={"variable": {}, "configuration": {}}, background=True
    )
    assert (request.engine, request.engine_version, request.creator, request.run_type) == (
        "duckdb",
        "*",
        "dss",
        "sql",
    )
    assert request.labels == {"userCreator": "hadoop-dss", "engineType": "duckdb-*", "codeType": "sql"}


@pytest.mark.parametrize(
    ("name", "engine", "version"),
    [
        ("hive", "hive", "2.3.3"),
        ("hive-2.3", "hive", "2.3"),
        ("shell", "shell", "1"),
        ("duckdb", "duckdb", "*"),
    ],
)
def test_legacy_names_have_default_versions(name: str, engine: str, version: str) -> None:
    request = execute(executeApplicationName=name)
    assert (request.engine, request.engine_version) == (engine, version)


def test_legacy_labels_win_over_names() -> None:
    labels = {"engineType": "python-3.11", "userCreator": "hadoop-app"}
    request = execute(labels=labels, requestApplicationName="dss")
    assert (request.engine, request.creator) == ("python", "app")


def test_everything_may_be_null_in_a_legacy_body_but_engine_and_code() -> None:
    nothing = dict.fromkeys(
        [
            "requestApplicationName",
            "runType",
            "params",
            "source",
            "labels",
            "scriptPath",
            "websocketTag",
            "umUser",
        ]
    )
    request = execute(**nothing)
    assert (request.creator, request.run_type) == ("IDE", "sql")


def test_the_old_place_of_the_script_path() -> None:
    assert execute(scriptPath="/a.sql").source["scriptPath"] == "/a.sql"
    assert execute(scriptPath="/a.sql", source={"scriptPath": "/b.sql"}).source["scriptPath"] == "/b.sql"


def test_empty_code_may_be_judged_later() -> None:
    assert execute(executionCode="", requestApplicationName="dss").code == ""
    assert execute(executionCode=None, source={"scriptPath": "/a.sql"}).code == ""


SUBMIT_REFUSALS: list[tuple[dict[str, Any], int]] = [
    ({"executionContent": {"runType": "sql"}}, 20010),
    ({"executionContent": None}, 20010),
    ({"executionContent": {}}, 20010),
    ({"executionContent": {"code": None}}, 20007),
    ({"executionContent": {"code": ""}}, 20007),
    ({"executionContent": {"code": " \n\t"}}, 20007),
    ({"executionContent": {"code": 5}}, 20009),
    ({"executionContent": {"code": ["x"]}}, 20009),
    ({"executionContent": "select 1"}, 20009),
    ({"executionContent": ["select 1"]}, 20009),
    ({"executionContent": {"code": "x", "runType": 5}}, 20009),
    ({"labels": None}, 20008),
    ({"labels": {}}, 20008),
    ({"labels": []}, 20008),
    ({"labels": "duckdb"}, 20008),
    ({"labels": {"userCreator": "hadoop-IDE"}}, 20009),
    ({"labels": {"engineType": None, "userCreator": "hadoop-IDE"}}, 20009),
    ({"labels": {"engineType": ""}}, 20009),
    ({"labels": {"engineType": 7}}, 20009),
    ({"labels": {"engineType": ["duckdb"]}}, 20009),
    ({"labels": {"engineType": {}}}, 20009),
    ({"labels": {"engineType": "../etc"}}, 20009),
    ({"labels": {"engineType": "x" * 65}}, 20009),
    ({"labels": {"engineType": "-2.0"}}, 20009),
    ({"labels": {"engineType": '{"engineType":'}}, 20009),
    ({"executionContent": {"code": "x"}}, 20009),
    ({"executionContent": {"code": "x", "runType": ""}}, 20009),
    ({"labels": {"engineType": "duckdb", "jobRunningTimeout": "5s"}}, 20009),
    ({"labels": {"engineType": "duckdb", "jobQueuingTimeout": -1}}, 20009),
    ({"labels": {"engineType": "duckdb", "jobQueuingTimeout": ""}}, 20009),
    ({"labels": {"engineType": "duckdb", "jobQueuingTimeout": [1]}}, 20009),
    ({"labels": {"engineType": "duckdb", "userCreator": "alice-IDE"}}, 50080),
    ({"labels": {"engineType": "duckdb", "userCreator": {"user": "alice", "creator": "IDE"}}}, 50080),
    ({"labels": {"engineType": "duckdb", "userCreator": "hadoop"}}, 25002),
    ({"labels": {"engineType": "duckdb", "userCreator": "hadoop-"}}, 25002),
    ({"labels": {"engineType": "duckdb", "userCreator": "-IDE"}}, 25002),
    ({"labels": {"engineType": "duckdb", "userCreator": "hadoop-IDE-x"}}, 25002),
    ({"labels": {"engineType": "duckdb", "userCreator": "hadoop-.."}}, 25002),
    ({"labels": {"engineType": "duckdb", "userCreator": "hadoop-a/b"}}, 25002),
    ({"labels": {"engineType": "duckdb", "userCreator": 5}}, 20009),
    ({"params": "x"}, 20009),
    ({"params": []}, 20009),
    ({"params": {"variable": []}}, 20009),
    ({"params": {"variable": {"a": {}}}}, 20009),
    ({"params": {"configuration": 1}}, 20009),
    ({"params": {"configuration": {"runtime": "x"}}}, 20009),
    ({"params": {"configuration": {"startup": {"a": []}}}}, 20009),
    ({"source": "x"}, 20009),
    ({"source": {"scriptPath": {}}}, 20009),
]


@pytest.mark.parametrize(("changes", "code"), SUBMIT_REFUSALS)
def test_modern_refusals(changes: dict[str, Any], code: int) -> None:
    with pytest.raises(UserMistake) as refused:
        submit(**changes)
    assert refused.value.error_code == code
    assert refused.value.message.endswith(".")


EXECUTE_REFUSALS: list[tuple[dict[str, Any], int]] = [
    ({"executeApplicationName": None}, 50079),
    ({"executeApplicationName": " "}, 50079),
    ({"executeApplicationName": 5}, 20009),
    ({"executeApplicationName": "a/b"}, 20009),
    ({"executionCode": None}, 20007),
    ({"executionCode": " "}, 20007),
    ({"executionCode": 5}, 20009),
    ({"executionCode": {"a": 1}}, 20009),
    ({"requestApplicationName": "a b"}, 25002),
    ({"requestApplicationName": ".."}, 25002),
    ({"requestApplicationName": 5}, 20009),
    ({"runType": []}, 20009),
    ({"params": 1}, 20009),
]


@pytest.mark.parametrize(("changes", "code"), EXECUTE_REFUSALS)
def test_legacy_refusals(changes: dict[str, Any], code: int) -> None:
    with pytest.raises(UserMistake) as refused:
        execute(**changes)
    assert refused.value.error_code == code


def test_an_empty_body_says_what_is_missing() -> None:
    with pytest.raises(UserMistake) as refused:
        request_of({})
    assert refused.value.error_code == 50079
    assert "executeApplicationName" in refused.value.message


def test_a_wrong_type_names_the_field_and_what_it_should_be() -> None:
    with pytest.raises(UserMistake) as refused:
        submit(params={"variable": {"day": [1]}})
    assert (
        refused.value.message == "`params.variable.day` must be a text, number or boolean, but is an array."
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(
    [*SUBMIT, *EXECUTE, "params", "source", "requestApplicationName", "scriptPath", "data", "method"]
)


@given(st.sampled_from([SUBMIT, EXECUTE, {}]), st.dictionaries(fields, json_values, max_size=4))
def test_any_body_is_a_request_or_a_sentence(base: dict[str, Any], changes: dict[str, Any]) -> None:
    try:
        request = request_of({**base, **changes})
    except UserMistake as refused:
        sentence = refused.message
    else:
        sentence = f"Runs as {request.run_as}."
    assert sentence.endswith(".")
