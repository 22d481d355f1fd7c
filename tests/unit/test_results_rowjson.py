"""Rows as JSON say the same as the cells one by one."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_results_cells import CASES
from ujes.results import rowjson
from ujes.results.cells import rows

ANY_TEXT = st.none() | st.sampled_from(
    ["", "NULL", "null", '","', '"],["', "\\", "\0", "\x1f", "\x7f", "\u2028"]
)
TEXTS = st.lists(st.tuples(ANY_TEXT | st.text(), ANY_TEXT | st.text()))
KINDS = st.sampled_from(
    [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
)
NULLS = st.sampled_from([None, "NULL", "", '"\\\n'])


def plain(table: pa.Table, null: str | None) -> list[list[str | None]]:
    return [list(row) for row in rows(table, null=null)]


@given(TEXTS, KINDS, NULLS, st.data())
def test_any_texts(
    cells: list[tuple[Any, Any]], kind: pa.DataType, null: str | None, data: st.DataObject
) -> None:
    columns = [pa.array([row[at] for row in cells], pa.string()).cast(kind) for at in range(2)]
    table = pa.Table.from_arrays(columns, ["a", "a"])
    page = table.slice(data.draw(st.integers(0, len(cells))), data.draw(st.integers(0, len(cells))))
    assert json.loads(rowjson.rows(page, null=null)) == plain(page, null)


@given(TEXTS, NULLS.filter(lambda null: null is not None))
def test_texts_shown_like_null(cells: list[tuple[Any, Any]], null: str) -> None:
    table = pa.table([pa.array([row[at] for row in cells], pa.string()) for at in range(2)], ["a", "b"])
    expected = [[null if text in ("", "NULL") else text for text in row] for row in plain(table, null)]
    assert json.loads(rowjson.rows(table, null=null, as_null=("", "NULL"))) == expected


@pytest.mark.parametrize("column", [case[0] for case in CASES], ids=lambda column: str(column.type))
@pytest.mark.parametrize("null", [None, "NULL"])
def test_every_type(column: pa.Array, null: str | None) -> None:
    number = pa.array(range(len(column)))
    table = pa.table([column, number, column], ["a", "b", "c"])
    assert json.loads(rowjson.rows(table, null=null)) == plain(table, null)
    assert json.loads(rowjson.rows(table.slice(1), null=null)) == plain(table.slice(1), null)


def test_a_page_without_rows_or_columns() -> None:
    assert rowjson.rows(pa.table({"a": pa.array([], pa.string())})) == b"[]"
    assert rowjson.rows(pa.table({"a": [1, 2]}).select([])) == b"[[],[]]"


def test_pandas_is_not_imported() -> None:
    """It would take half a second of the first page, and its memory for good."""
    code = (
        "import sys, pyarrow as pa\n"
        "from ujes.results import rowjson\n"
        "from ujes.results.strings import string_array\n"
        "column = string_array(['a\\n', None])\n"
        "time = string_array(['1']).cast(pa.int64()).cast(pa.time64('us'))\n"
        "rowjson.rows(pa.Table.from_arrays([column], ['a']), null='-', as_null=('',))\n"
        "rowjson.rows(pa.Table.from_arrays([column], ['a']))\n"
        "rowjson.rows(pa.Table.from_arrays([time], ['a']))\n"
        "assert 'pandas' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
