"""Reading answers, from servers that differ in details."""

from __future__ import annotations

import contextlib
import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ujes.client import answers
from ujes.client.cells import typed_rows
from ujes.client.errors import ClientError, LoginEnded, NoAnswer, Refused
from ujes.client.values import Column


def envelope(status: Any, data: Any = None, message: str = "no", http: int = 200) -> Any:
    body = {"method": "/x", "status": status, "message": message, "data": data}
    return answers.data_of(http, json.dumps(body).encode())


def test_an_envelope_gives_its_data() -> None:
    assert envelope(0, {"a": 1}) == {"a": 1}
    assert envelope("0", None) == {}
    assert envelope(1, {}, "Already logged in, please log out before login") == {}


@pytest.mark.parametrize(
    ("status", "http", "kind"),
    [
        (1, 400, Refused),
        (2, 412, Refused),
        (-1, 401, LoginEnded),
        (-1, 200, LoginEnded),
        (1, 401, LoginEnded),
    ],
)
def test_refusals(status: int, http: int, kind: type[ClientError]) -> None:
    with pytest.raises(kind, match="no") as caught:
        envelope(status, {}, http=http)
    assert type(caught.value) is kind


def test_the_plain_reason_is_preferred() -> None:
    with pytest.raises(Refused, match=r"^there is no code$"):
        envelope(1, {"errorMsg": {"desc": "there is no code", "errCode": 20007}}, "error code: 20007 ...")


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b"{}", b"\xff", b'"status"'])
def test_what_is_no_envelope_is_no_answer(content: bytes) -> None:
    with pytest.raises(NoAnswer, match="HTTP 502"):
        answers.data_of(502, content)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_a_client_error(content: bytes) -> None:
    with contextlib.suppress(ClientError):
        answers.data_of(200, content)


def test_ids_may_be_numbers_or_texts() -> None:
    assert answers.submitted({"taskID": "12", "execID": "e"}).id == 12
    assert answers.submitted({"taskID": 12}).exec_id == ""
    with pytest.raises(NoAnswer, match="no taskID"):
        answers.submitted({"execID": "e"})


def test_a_job_of_a_real_server() -> None:
    task = {
        "taskID": 5,
        "strongerExecId": "exec_id1",
        "status": "Failed",
        "progress": "0.25",
        "errCode": None,
    }
    task |= {
        "umUser": "hadoop",
        "errDesc": "boom",
        "createdTime": 1,
        "updatedTime": None,
        "resultLocation": None,
    }
    job = answers.job({"task": task})
    assert (job.state, job.progress, job.error, job.error_code, job.run_as) == (
        "Failed",
        0.25,
        "boom",
        None,
        "hadoop",
    )
    assert job.is_final
    assert answers.job({"task": task | {"status": None}}).state == "Unknown"
    with pytest.raises(Refused):
        answers.job({"task": None})


@pytest.mark.parametrize(
    ("given_", "value"), [("1.0", 1.0), (0.5, 0.5), (None, 0.0), ("x", 0.0), (7, 1.0), (-1, 0.0)]
)
def test_progress_is_a_fraction(given_: object, value: float) -> None:
    assert answers.progress({"progress": given_, "progressInfo": None}).value == value


def test_the_log_may_be_a_list_or_a_text() -> None:
    by_level = {"log": ["e", "w", "i", "a\nb"], "fromLine": 5}
    assert answers.log_part(by_level, 3) == answers.LogPart(lines=("a", "b"), next_line=5)
    assert answers.log_part({"log": "a\nb"}, 3) == answers.LogPart(lines=("a", "b"), next_line=5)
    assert answers.log_part({"log": ["", "", "", ""], "fromLine": 3}, 3).lines == ()
    assert answers.log_part({}, 3) == answers.LogPart(lines=(), next_line=3)


def test_a_whole_log_goes_on_where_one_was() -> None:
    data = {"log": ["", "", "", "a\nb\nc\n"]}
    assert answers.whole_log(data, 2) == answers.LogPart(lines=("b", "c"), next_line=4)
    assert answers.whole_log(data, 9) == answers.LogPart(lines=(), next_line=9)


def test_result_files_are_in_numeric_order_and_folders_left_out() -> None:
    children = [{"path": f"/r/_{n}.dolphin", "isLeaf": True} for n in (10, 2, 0)] + [
        {"path": "/r/d", "isLeaf": False}
    ]
    paths = answers.result_files({"dirFileTrees": {"children": children}})
    assert paths == ("/r/_0.dolphin", "/r/_2.dolphin", "/r/_10.dolphin")
    assert answers.result_files({"dirFileTrees": None}) == ()
    assert answers.result_files({"dirFileTrees": {"children": None}}) == ()


def test_pages() -> None:
    metadata = [{"columnName": "a", "dataType": "int", "comment": "NULL"}]
    page = answers.page(
        {"type": "2", "metadata": metadata, "fileContent": [["1"], [None]], "totalLine": 2}, 1
    )
    assert page.rows == (("1",), (None,))
    assert page.columns == (Column(name="a", type="int"),)
    text = answers.page({"type": "1", "metadata": "NULL", "fileContent": [["x"], "y"], "page": 2}, 2)
    assert (text.kind, text.rows) == ("text", (("x",), ("y",)))
    assert (
        answers.page({"type": "2", "metadata": metadata, "fileContent": [["1"]], "totalLine": 0}, 3).rows
        == ()
    )
    assert answers.page({"type": "2", "fileContent": None}, 1).rows == ()
    with pytest.raises(NoAnswer, match="another page"):
        answers.page({"type": "2", "page": 1}, 2)


def test_cells_get_the_type_of_their_column() -> None:
    types = ["int", "bigint", "double", "decimal", "boolean", "date", "timestamp", "array", "string"]
    columns = [Column(name=f"c{at}", type=type_) for at, type_ in enumerate(types)]
    row = ("1", "2", "NaN", "1.50", "TRUE", "2026-01-31", "2026-01-31 01:02:03.5", "[1]", "NULL")
    (typed,) = typed_rows(columns, [row])
    assert typed[:2] == (1, 2)
    assert typed[3:] == (
        Decimal("1.50"),
        True,
        date(2026, 1, 31),
        datetime(2026, 1, 31, 1, 2, 3, 500000),  # noqa: DTZ001 - columns have no zone
        [1],
        "NULL",
    )


def test_cells_that_do_not_fit_stay_texts_and_nulls_are_missing() -> None:
    columns = [Column(name="a", type="int"), Column(name="b", type="boolean"), Column(name="c", type="map")]
    assert list(typed_rows(columns, [("x", "maybe", "{"), (None, "NULL", "null")])) == [
        ("x", "maybe", "{"),
        (None, None, None),
    ]
