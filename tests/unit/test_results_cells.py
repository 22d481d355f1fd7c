"""Cells as texts: one table of types, values and what clients read."""

from __future__ import annotations

import datetime
import json
import uuid
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ujes.results.cells import FRACTION_DIGITS_MAX, data_type, rows, texts

DAY = datetime.date(2024, 5, 1)
MOMENT = datetime.datetime(2024, 5, 1, 10, 0, 0, 120_000)  # noqa: DTZ001 - a timestamp without a zone
INT32_MAX, INT64_MAX = 2**31 - 1, 2**63 - 1


def cast(values: list[Any], storage: pa.DataType, kind: pa.DataType) -> pa.Array:
    return pa.array(values, storage).cast(kind)


CASES: list[tuple[pa.Array, str, list[str | None]]] = [
    (pa.array([True, False, None]), "boolean", ["true", "false", None]),
    (pa.array([-1, None], pa.int8()), "int", ["-1", None]),
    (pa.array([255], pa.uint8()), "int", ["255"]),
    (pa.array([2**31 - 1], pa.int32()), "int", ["2147483647"]),
    (pa.array([2**32 - 1], pa.uint32()), "bigint", ["4294967295"]),
    (pa.array([INT64_MAX]), "bigint", [str(INT64_MAX)]),
    (pa.array([2**64 - 1], pa.uint64()), "decimal", [str(2**64 - 1)]),
    (pa.array([1.0, -0.5, 1e20, 1e-7, 123456789012.5, None]), "double",
     ["1", "-0.5", "100000000000000000000", "0.0000001", "123456789012.5", None]),
    (pa.array([float("nan"), float("inf"), float("-inf"), 1e15, None]), "double",
     ["NaN", "Infinity", "-Infinity", "1000000000000000", None]),
    (pa.array([1e-40]), "double", ["0"]),
    (pa.array([1.0, 0.1, 1e10, None], pa.float32()), "float", ["1.0", "0.1", "10000000000.0", None]),
    (pa.array([Decimal("1.10"), Decimal(0), None], pa.decimal128(5, 2)), "decimal", ["1.10", "0.00", None]),
    (pa.array([Decimal("0.00000001")], pa.decimal128(18, 8)), "decimal", ["0.00000001"]),
    (pa.array([Decimal(2**128)], pa.decimal256(39, 0)), "decimal", [str(2**128)]),
    (pa.array([Decimal(5000)], pa.decimal128(5, -3)), "decimal", ["5000"]),
    (pa.array(["a", "", None, "ü\n"]), "string", ["a", "", None, "ü\n"]),
    (pa.array(["a"], pa.large_string()), "string", ["a"]),
    (pa.array(["a"], pa.string_view()), "string", ["a"]),
    (pa.array(["a", None, "a"]).dictionary_encode(), "string", ["a", None, "a"]),
    (pa.array([DAY, None]), "date", ["2024-05-01", None]),
    (cast([INT32_MAX, -INT32_MAX], pa.int32(), pa.date32()), "date", ["infinity", "-infinity"]),
    (cast([100_000_000, 0], pa.int32(), pa.date32()), "date", ["100000000", "1970-01-01"]),
    (pa.array([DAY], pa.date64()), "date", ["2024-05-01"]),
    (pa.array([MOMENT, None]), "timestamp", ["2024-05-01 10:00:00.12", None]),
    (pa.array([MOMENT.replace(microsecond=0)], pa.timestamp("ns")), "timestamp", ["2024-05-01 10:00:00"]),
    (pa.array([MOMENT.replace(microsecond=0)], pa.timestamp("s")), "timestamp", ["2024-05-01 10:00:00"]),
    (cast([1], pa.int64(), pa.timestamp("ns")), "timestamp", ["1970-01-01 00:00:00.000000001"]),
    (cast([0], pa.int64(), pa.timestamp("us", "Asia/Shanghai")), "timestamp", ["1970-01-01 08:00:00"]),
    (cast([INT64_MAX, -INT64_MAX, 0], pa.int64(), pa.timestamp("us", "UTC")), "timestamp",
     ["infinity", "-infinity", "1970-01-01 00:00:00"]),
    (cast([1_500_000, 0, None], pa.int64(), pa.time64("us")), "string", ["00:00:01.5", "00:00:00", None]),
    (cast([86_400_000_000], pa.int64(), pa.time64("us")), "string", ["24:00:00"]),
    (pa.array([datetime.time(1, 2, 3)], pa.time32("s")), "string", ["01:02:03"]),
    (pa.array([datetime.timedelta(days=3, hours=4, microseconds=5), None]), "string",
     ["3 days 04:00:00.000005", None]),
    (pa.array([datetime.timedelta(seconds=-1)]), "string", ["-00:00:01"]),
    (pa.array([(14, 3, 14_706_789_000_000), (0, 0, 0), (-1, 0, 0), None], pa.month_day_nano_interval()),
     "string", ["1 year 2 months 3 days 04:05:06.789", "00:00:00", "-1 month", None]),
    (pa.array([b"a\xff", b"", None]), "binary", ["61ff", "", None]),
    (pa.array([b"ab"], pa.binary(2)), "binary", ["6162"]),
    (pa.array([b"ab"], pa.binary_view()), "binary", ["6162"]),
    (pa.array([b"ab"], pa.large_binary()), "binary", ["6162"]),
    (pa.array([uuid.UUID(int=5).bytes], pa.uuid()), "string", [str(uuid.UUID(int=5))]),
    (pa.nulls(2), "string", [None, None]),
    (pa.array([[1, None], [], None]), "array", ["[1,null]", "[]", None]),
    (pa.array([[1, 2], None], pa.list_(pa.int8(), 2)), "array", ["[1,2]", None]),
    (pa.array([[1.5, float("nan")]], pa.large_list(pa.float64())), "array", ['[1.5,"NaN"]']),
    (pa.array([[[1], None], None]), "array", ["[[1],null]", None]),
    (pa.array([[("a", 1), ("b", None)], [], None], pa.map_(pa.string(), pa.int64())), "map",
     ['{"a":1,"b":null}', "{}", None]),
    (pa.array([{"d": DAY, "n": Decimal("1.50"), "t": 'q"', "b": True, "l": [None]}, None]), "struct",
     ['{"d":"2024-05-01","n":"1.50","t":"q\\"","b":true,"l":[null]}', None]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("column", "name", "expected"), CASES, ids=[f"{case[0].type}-{at}" for at, case in enumerate(CASES)]
)
def test_cells(column: pa.Array, name: str, expected: list[str | None]) -> None:
    assert data_type(pa.field("c", column.type)) == name
    assert texts(column) == expected
    assert texts(pa.chunked_array([column, column])) == expected * 2
    # A page is a slice of a batch: what stands before it must not shine through.
    assert texts(pa.concat_arrays([column, column]).slice(len(column))) == expected
    assert texts(column.slice(0, 0)) == []
    assert texts(pa.chunked_array([], column.type)) == []


@pytest.mark.parametrize(
    ("engine_type", "kind", "name"),
    [
        ("BIGNUM", pa.string(), "decimal"),
        ("UUID", pa.string(), "string"),
        ("BIT[]", pa.string(), "array"),
        ("MAP(VARCHAR, BIT)", pa.string(), "map"),
        ("STRUCT(x BIT)", pa.string(), "struct"),
        ("HUGEINT", pa.decimal256(39, 0), "decimal"),
    ],
)
def test_the_engine_knows_its_types_better(engine_type: str, kind: pa.DataType, name: str) -> None:
    assert data_type(pa.field("c", kind, metadata={"ujes.type": engine_type})) == name


def test_rows_with_a_text_for_null() -> None:
    table = pa.table([pa.array([1, None]), pa.array(["x", None])], names=["a", "a"])
    assert rows(table) == [("1", "x"), (None, None)]
    assert rows(table, null="NULL") == [("1", "x"), ("NULL", "NULL")]


@given(st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False)))
def test_doubles_are_plain_and_say_the_same_number(values: list[float | None]) -> None:
    for text, value in zip(texts(pa.array(values, pa.float64())), values, strict=True):
        assert (text is None) == (value is None)
        if text is not None and value is not None:
            assert set(text) <= set("-.0123456789")
            assert len(text.partition(".")[2]) <= max(FRACTION_DIGITS_MAX, 20)
            assert abs(Decimal(text) - Decimal(repr(value))) <= Decimal(1).scaleb(-FRACTION_DIGITS_MAX)


@given(
    st.lists(st.none() | st.lists(st.none() | st.dictionaries(st.sampled_from("abc"), st.none() | st.text())))
)
def test_nested_values_read_back_as_json(values: list[Any]) -> None:
    kind = pa.list_(pa.map_(pa.string(), pa.string()))
    column = pa.array([value and [each and list(each.items()) for each in value] for value in values], kind)
    read = [None if text is None else json.loads(text) for text in texts(column)]
    assert read == [value and [each or (None if each is None else {}) for each in value] for value in values]
