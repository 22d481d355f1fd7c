"""Data frames of any library as a schema and record batches, a slice at a time where the library can.

No library is imported here but pyarrow: a value of one that is not in `sys.modules` cannot exist. What
Arrow cannot hold becomes text.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

_BATCH_ROWS = 10_000


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A table to be written; its batches can be read once."""

    schema: pa.Schema
    batches: Iterable[pa.RecordBatch]


def frame_of(value: Any) -> Frame:
    """The table `value` is. Raises `TypeError` when it is none."""
    for library, convert in (
        ("pandas", _pandas),
        ("polars", _polars),
        ("duckdb", _duckdb),
        ("pyarrow", _arrow),
    ):
        module = sys.modules.get(library)
        frame = convert(module, value) if module is not None else None
        if frame is not None:
            return frame
    raise TypeError(f"{type(value).__name__} is not a table.")


def _is(module: Any, value: object, name: str) -> bool:
    return isinstance(value, getattr(module, name, ()))


# --- Arrow, DuckDB ------------------------------------------------------------------------------


def _arrow(pyarrow: Any, value: Any) -> Frame | None:
    if _is(pyarrow, value, "Table"):
        return _plain(value.schema, value.to_batches(_BATCH_ROWS))
    if _is(pyarrow, value, "RecordBatch"):
        return _plain(value.schema, [value])
    if _is(pyarrow, value, "RecordBatchReader"):
        return _plain(value.schema, value)
    return None


def _duckdb(duckdb: Any, value: Any) -> Frame | None:
    if not _is(duckdb, value, "DuckDBPyRelation"):
        return None
    reader = value.to_arrow_reader(_BATCH_ROWS)
    return _plain(reader.schema, reader)


def _plain(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Frame:
    """Without types that only the library itself can read again."""
    fields = [field.with_type(_plain_type(field.type)) for field in schema]
    wanted = pa.schema(fields)
    return Frame(schema=wanted, batches=(_fit(batch, wanted) for batch in batches))


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if isinstance(kind, pa.BaseExtensionType) and not isinstance(kind, pa.UuidType | pa.JsonType):
        return _plain_type(kind.storage_type)
    if kind == pa.string_view():
        return pa.string()
    return pa.binary() if kind == pa.binary_view() else kind


def _fit(batch: pa.RecordBatch, wanted: pa.Schema) -> pa.RecordBatch:
    columns = []
    for column, field in zip(batch.columns, wanted, strict=True):
        if isinstance(column, pa.ExtensionArray) and column.type != field.type:
            column = column.storage  # noqa: PLW2901 - the same column without its wrapping
        columns.append(column if column.type == field.type else column.cast(field.type))
    return pa.RecordBatch.from_arrays(columns, schema=wanted)


# --- pandas ---------------------------------------------------------------------------------------


def _pandas(pandas: Any, value: Any) -> Frame | None:
    if _is(pandas, value, "Series"):
        value = value.to_frame("value" if value.name is None else value.name)
    if not _is(pandas, value, "DataFrame"):
        return None
    columns = [*_index_columns(pandas, value.index), *_data_columns(value)]
    arrays = [_column(pandas, series) for _, series in columns]
    return _of_arrays([name for name, _ in columns], arrays, len(value))


def _of_arrays(names: list[str], arrays: list[Any], rows: int) -> Frame:
    if not arrays:
        return Frame(schema=pa.schema([]), batches=())
    table = pa.table(arrays, names=names)
    return _plain(table.schema, table.to_batches(_BATCH_ROWS))


def _index_columns(pandas: Any, index: Any) -> list[tuple[str, Any]]:
    """The index, unless it only counts the rows."""
    is_count = isinstance(index, pandas.RangeIndex) and index.start == 0 and index.step == 1
    if is_count and index.name is None:
        return []
    names = [
        (f"level_{level}" if index.nlevels > 1 else "index") if name is None else _name(name)
        for level, name in enumerate(index.names)
    ]
    return [(name, index.get_level_values(level).to_series()) for level, name in enumerate(names)]


def _data_columns(frame: Any) -> list[tuple[str, Any]]:
    return [(_name(name), frame.iloc[:, at]) for at, name in enumerate(frame.columns)]


def _name(name: object) -> str:
    return "_".join(str(part) for part in name) if isinstance(name, tuple) else str(name)


def _column(pandas: Any, series: Any) -> Any:
    kind = series.dtype
    if isinstance(kind, pandas.SparseDtype):
        series = series.sparse.to_dense()
    elif isinstance(kind, pandas.CategoricalDtype):
        series = series.astype(kind.categories.dtype if not series.hasnans else object)
    elif isinstance(kind, pandas.PeriodDtype | pandas.IntervalDtype):
        return _as_text(series)
    try:
        return pa.array(series, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError, TypeError):
        return _as_text(series)


def _as_text(values: Iterable[Any]) -> Any:
    return pa.array([None if _is_missing(value) else str(value) for value in values], pa.string())


def _is_missing(value: Any) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | complex) and value != value  # noqa: PLR0124 - what NaN is


# --- polars ---------------------------------------------------------------------------------------


def _polars(polars: Any, value: Any) -> Frame | None:
    if _is(polars, value, "Series"):
        value = value.to_frame(value.name or "value")
    elif _is(polars, value, "LazyFrame"):
        value = value.collect()
    if not _is(polars, value, "DataFrame"):
        return None
    value = value.with_columns(_objects_as_text(polars, value))
    schema = value.head(0).to_arrow().schema
    return _plain(schema, _polars_batches(value, schema))


def _objects_as_text(polars: Any, frame: Any) -> list[Any]:
    return [
        polars.Series(column.name, _as_text(column).to_pylist(), dtype=polars.String)
        for column in frame.get_columns()
        if column.dtype == polars.Object
    ]


def _polars_batches(frame: Any, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for part in frame.iter_slices(_BATCH_ROWS):
        yield from part.to_arrow().cast(schema).to_batches()
