"""The unmodified `linkis-python-sdk` from PyPI, sync and async: what its users do works here."""

from __future__ import annotations

import asyncio
import datetime
import gc
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from linkis_python_sdk.asyncio.client import LinkisClient as AsyncLinkisClient
from linkis_python_sdk.client import LinkisClient
from linkis_python_sdk.config.config import LinkisConfig

from tests.support.served import Served

Execute = Callable[..., tuple[list[dict[str, Any]], int, str]]


@pytest.fixture(autouse=True)
def _let_go_of_its_sessions() -> Iterator[None]:
    """The client logs its exceptions and closes no session; what a log holds would keep its sockets open."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
    gc.collect()


@pytest.fixture(params=["sync", "async"])
def execute(request: pytest.FixtureRequest, gateway: Served) -> Execute:
    """`execute_code` of either client: rows, how many, and what went wrong."""
    password = (gateway.home / "admin-password").read_text().strip()
    config = LinkisConfig(base_url=f"{gateway.url}/api/rest_j/v1", username="admin", password=password)

    def run(
        code: str, columns: list[str], engine: str = "duckdb", run_type: str = "sql", **query: Any
    ) -> Any:
        asked = {"columns": [{"column": name} for name in columns]} | query
        if request.param == "sync":
            return LinkisClient(config).execute_code(code, asked, engine, run_type)
        return asyncio.run(AsyncLinkisClient(config).execute_code(code, asked, engine, run_type))

    return run


def test_rows_types_and_nulls(execute: Execute) -> None:
    code = (
        "select 7::tinyint as t, 1::int as i, 9007199254740993::bigint as b, 1.25::decimal(10,2) as d,"
        " 2.5::double as f,"
        " true as yes, false as no, date '2024-02-29' as day, timestamp '2024-02-29 12:30:00' as at,"
        " 'text' as s, null::int as missing, null::varchar as absent"
    )
    columns = ["t", "i", "b", "d", "f", "yes", "no", "day", "at", "s", "missing", "absent"]
    rows, total, error = execute(code, columns)
    assert (total, error) == (1, "")
    (row,) = rows
    assert (row["t"], row["i"], row["b"], row["d"], row["f"]) == (7, 1, 9007199254740993, 1.25, 2.5)
    assert row["yes"] is True or row["yes"] == 1
    assert row["no"] is False or row["no"] == 0
    assert row["day"] == datetime.date(2024, 2, 29)
    assert row["at"].isoformat() == "2024-02-29T12:30:00"
    assert (row["s"], row["absent"]) == ("text", "NULL")
    assert row["missing"] is None or row["missing"] != row["missing"]


def test_several_result_sets_are_put_under_each_other(execute: Execute) -> None:
    code = ";".join(f"select {n} as n" for n in range(12))
    rows, total, error = execute(code, ["n"])
    assert (error, total) == ("", 12)
    assert [row["n"] for row in rows] == list(range(12))


def test_an_empty_result(execute: Execute) -> None:
    rows, total, error = execute("select 1 as n where false", ["n"])
    assert (rows, total, error) == ([], 0, "")


def test_no_result_at_all_says_so(execute: Execute) -> None:
    rows, total, error = execute("create or replace temp table nothing(a int)", ["n"])
    assert (rows, total, error) == ([], 0, "no data files")


def test_a_failing_statement_shows_its_reason(execute: Execute) -> None:
    rows, total, error = execute("select * from missing_table", ["n"])
    assert (rows, total) == ([], 0)
    assert "missing_table" in error


def test_a_refused_submit_shows_its_reason(execute: Execute) -> None:
    _rows, _total, error = execute("select 1", ["n"], "nosuchengine")
    assert "nosuchengine" in error and "duckdb" in error


def test_a_wrong_password_shows_its_reason(gateway: Served) -> None:
    config = LinkisConfig(base_url=f"{gateway.url}/api/rest_j/v1", username="admin", password="wrong")
    assert "wrong" in LinkisClient(config).execute_code("select 1", {}, "duckdb", "sql")[2]
    assert "wrong" in asyncio.run(AsyncLinkisClient(config).execute_code("select 1", {}, "duckdb", "sql"))[2]


def test_the_first_5000_rows(execute: Execute) -> None:
    rows, total, error = execute("select range as n from range(12345)", ["n"])
    assert (error, total) == ("", 5000)
    assert [row["n"] for row in rows] == list(range(5000))


def test_filter_order_and_page(execute: Execute) -> None:
    query = {
        "filters": [{"column": "n", "operator": "gte", "value": 50}],
        "orderbys": [{"column": "n", "ascending": False}],
        "page": 2,
        "page_size": 10,
    }
    rows, total, error = execute("select range as n from range(100)", ["n"], **query)
    assert (error, total) == ("", 50)
    assert [row["n"] for row in rows] == list(range(89, 79, -1))


def test_python_table(execute: Execute) -> None:
    code = "import pandas as pd\nshow(pd.DataFrame({'n': [1, None], 's': ['a', 'b']}))"
    rows, total, error = execute(code, ["n", "s"], "python", "python")
    assert (error, total) == ("", 2)
    assert [row["s"] for row in rows] == ["a", "b"]
