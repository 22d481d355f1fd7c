"""Cells of a result set as texts: what clients read, whatever the Arrow type behind it.

Arrow casts whole columns where its own texts are what clients expect; what it writes differently (large
and tiny numbers, infinite dates, intervals, bytes) is mended in the few cells concerned. How each type is
written:

- boolean `true`, `false`; whole numbers and decimals plain, never with an exponent
- double plain, at most 30 digits after the point, `1` for 1.0; float the same but `1.0`; `NaN`, `Infinity`
- date `2024-05-01`; timestamp `2024-05-01 10:00:00[.fraction]` without zeros at its end, one with a zone
  as the clock there shows it; time `10:00:00[.fraction]`; the infinite ones `infinity`, `-infinity`
- interval and duration `1 year 2 months 3 days 04:05:06.789`
- bytes as hexadecimal digits
- list, map and struct as JSON: numbers and booleans as they are, everything else as texts
"""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Callable, Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ujes.results.strings import string_array

Texts = list[str | None]
#: a column that was written: where Arrow did it, it stays an Arrow array
Written = list[str | None] | Any

#: digits after the point of a double at most
FRACTION_DIGITS_MAX = 30
_SMALLEST = Decimal(1).scaleb(-FRACTION_DIGITS_MAX)
_EXACT = Context(prec=400, rounding=ROUND_HALF_EVEN)
#: between these Arrow writes no number with an exponent
_PLAIN_MIN, _PLAIN_MAX = 1e-6, 1e10
_PLAIN_SCALE_MAX = 6
_NO_NUMBERS = {"nan": "NaN", "-nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_OUT_OF_RANGE = "<value out of range: "
#: of a timestamp: how far `infinity` is away
INFINITE = 2**63 - 1
_UNITS_NS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_DAY_S = 86_400
#: some 27,000 years; Arrow writes the days within
_ORDINARY_DAYS = 10_000_000

#: How a type of the engine that Arrow has not is called on the wire.
_OF_ENGINE = {"BIGNUM": "decimal"}


def rows(table: pa.Table, *, null: str | None = None) -> list[tuple[str | None, ...]]:
    """The cells of a page, row by row; `null` stands for a cell without a value."""
    columns = [texts(column, null=null) for column in table.columns]
    return list(zip(*columns, strict=True)) if columns else [()] * table.num_rows


def texts(column: pa.ChunkedArray | pa.Array, *, null: str | None = None) -> Texts:
    """One column as texts; `null` stands for a cell without a value."""
    found = _texts(_whole(column))
    if null is None or not column.null_count:
        return found
    return [null if text is None else text for text in found]


def strings(column: pa.ChunkedArray) -> pa.Array:
    """One column as texts in Arrow, nulls left as they are."""
    written = _written(_whole(column))
    return written if isinstance(written, pa.Array) else string_array(written)


def data_type(field: pa.Field) -> str:
    """The bare lower-case name of a column's type: one that every client turns into the right value.

    Types no client knows (time, interval, uuid) are `string`; unsigned ones take the next larger name.
    """
    engine_type = (field.metadata or {}).get(b"ujes.type", b"").decode("utf-8", "replace")
    if engine_type.endswith("]"):
        return "array"
    bare = engine_type.partition("(")[0]
    if bare in ("MAP", "STRUCT"):
        return str(bare.lower())
    return _OF_ENGINE.get(bare) or _name(field.type)


def _whole(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    if isinstance(column, pa.Array):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks or [pa.nulls(0, column.type)])


# --- names ------------------------------------------------------------------------------------


def _name(kind: pa.DataType) -> str:
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return _name(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):
        return "string" if _is_uuid(kind) else _name(kind.storage_type)
    return next((name for is_it, name in _NAMES if is_it(kind)), "string")


def _is_uuid(kind: pa.DataType) -> bool:
    return bool(getattr(kind, "extension_name", "") == "arrow.uuid")


def _is_bytes(kind: pa.DataType) -> bool:
    return any(
        is_it(kind)
        for is_it in (
            pa.types.is_binary,
            pa.types.is_large_binary,
            pa.types.is_fixed_size_binary,
            pa.types.is_binary_view,
        )
    )


def _is_list(kind: pa.DataType) -> bool:
    return any(
        is_it(kind)
        for is_it in (
            pa.types.is_list,
            pa.types.is_large_list,
            pa.types.is_fixed_size_list,
            pa.types.is_list_view,
            pa.types.is_large_list_view,
        )
    )


def _is_text(kind: pa.DataType) -> bool:
    checks = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(is_it(kind) for is_it in checks)


_NAMES: tuple[tuple[Callable[[pa.DataType], bool], str], ...] = (
    (pa.types.is_boolean, "boolean"),
    (lambda kind: kind in (pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32()), "int"),
    (lambda kind: kind in (pa.uint32(), pa.int64()), "bigint"),
    (lambda kind: kind == pa.uint64(), "decimal"),
    (lambda kind: kind in (pa.float16(), pa.float32()), "float"),
    (lambda kind: kind == pa.float64(), "double"),
    (pa.types.is_decimal, "decimal"),
    (pa.types.is_date, "date"),
    (pa.types.is_timestamp, "timestamp"),
    (_is_bytes, "binary"),
    (pa.types.is_map, "map"),
    (_is_list, "array"),
    (pa.types.is_struct, "struct"),
)


# --- texts ------------------------------------------------------------------------------------


def _texts(column: pa.Array) -> Texts:
    written = _written(column)
    texts: Texts = written.to_pylist() if isinstance(written, pa.Array) else written
    return texts


def _written(column: pa.Array) -> Written:
    kind = column.type
    for is_it, write in _WRITERS:
        if is_it(kind):
            return write(column)
    return column.cast(pa.string())


def _plain(column: pa.Array) -> Written:
    return column


def _nothing(column: pa.Array) -> Texts:
    return [None] * len(column)


def _extension(column: pa.ExtensionArray) -> Written:
    if not _is_uuid(column.type):
        return _written(column.storage)
    return [None if value is None else str(uuid.UUID(bytes=value)) for value in column.storage.to_pylist()]


def _bytes(column: pa.Array) -> Texts:
    return [None if value is None else value.hex() for value in column.to_pylist()]


def _decimal(column: pa.Array) -> Written:
    written = column.cast(pa.string())
    # Arrow takes an exponent below 0.000001, and for numbers counted in thousands.
    is_plain = 0 <= column.type.scale <= _PLAIN_SCALE_MAX
    return written if is_plain else _mended(written, "E", _plain_decimal)


def _plain_decimal(text: str) -> str:
    return format(Decimal(text), "f")


def _double(column: pa.Array) -> Written:
    written = column.cast(pa.string())
    if pc.all(pc.is_finite(column)).as_py() is False:
        return [_plain_double(text) for text in written.to_pylist()]
    size = pc.min_max(pc.abs(column)).as_py()
    if size["min"] is not None and size["min"] >= _PLAIN_MIN and size["max"] < _PLAIN_MAX:
        return written
    return _mended(written, "e", _plain_double)


def _plain_double(text: str | None) -> str | None:
    if text is None or text in _NO_NUMBERS:
        return text and _NO_NUMBERS[text]
    if "e" not in text:
        return text
    value = Decimal(text)
    if value.adjusted() < 0:
        value = value.quantize(_SMALLEST, context=_EXACT).normalize()
    return format(value, "f")


def _float(column: pa.Array) -> Texts:
    written = _double(column.cast(pa.float32()))
    found = written.to_pylist() if isinstance(written, pa.Array) else written
    return [text if text is None or not text.lstrip("-").isdigit() else text + ".0" for text in found]


def _mended(written: pa.Array, sign: str, mend: Callable[[str], str | None]) -> Written:
    """The texts, with `mend` called for those that contain `sign`."""
    if not pc.any(pc.match_substring(written, sign)).as_py():
        return written
    found: Texts = written.to_pylist()
    return [mend(text) if text is not None and sign in text else text for text in found]


# --- days and times ---------------------------------------------------------------------------


def _date(column: pa.Array) -> Written:
    whole = pa.int32() if column.type == pa.date32() else pa.int64()
    per_day = 1 if column.type == pa.date32() else _DAY_S * 1000
    return _ordinary_or_odd(column.cast(pa.string()), column.cast(whole), per_day)


def _timestamp(column: pa.Array) -> Written:
    if column.type.tz is not None:
        column = _local(column)
    written = column.cast(pa.string())
    if column.type.unit != "s":
        written = pc.utf8_rtrim(pc.utf8_rtrim(written, "0"), ".")
    per_day = _DAY_S * _UNITS_NS["s"] // _UNITS_NS[column.type.unit]
    return _ordinary_or_odd(written, column.cast(pa.int64()), per_day)


def _ordinary_or_odd(written: pa.Array, whole: pa.Array, per_day: int) -> Written:
    """The texts; only where a number behind them is very large, odd ones are looked for."""
    ends = pc.min_max(whole).as_py()
    far = _ORDINARY_DAYS * per_day
    if ends["min"] is None or (ends["min"] > -far and ends["max"] < far):
        return written
    return _mended(written, _OUT_OF_RANGE, lambda text: _odd(text, whole.type.bit_width))


def _local(column: pa.Array) -> pa.Array:
    """As the clock of the zone shows it; in UTC when this machine does not know the zone."""
    plain = pa.timestamp(column.type.unit)
    ends = pc.min_max(column.cast(pa.int64())).as_py()
    if INFINITE in (ends["max"], -(ends["min"] or 0)):
        return column.cast(plain)  # Arrow cannot move an infinite moment to another zone
    try:
        return pc.local_timestamp(column)
    except pa.ArrowInvalid:
        return column.cast(plain)


def _odd(text: str, bits: int) -> str:
    """A day or moment outside Arrow's years: the infinite ones by name, others as the number they are."""
    value = text.removeprefix(_OUT_OF_RANGE).removesuffix(">")
    if value.lstrip("-") == str(2 ** (bits - 1) - 1):
        return "-infinity" if value.startswith("-") else "infinity"
    return value


def _time(column: pa.Array) -> Written:
    unit_ns = _UNITS_NS[column.type.unit]
    whole = column.cast(pa.int32() if pa.types.is_time32(column.type) else pa.int64())
    if (pc.max(whole).as_py() or 0) >= _DAY_S * _UNITS_NS["s"] // unit_ns:
        return [None if value is None else _clock(value * unit_ns) for value in whole.to_pylist()]
    written = column.cast(pa.string())
    if column.type.unit != "s":
        written = pc.utf8_rtrim(pc.utf8_rtrim(written, "0"), ".")
    return written


def _duration(column: pa.Array) -> Texts:
    unit_ns = _UNITS_NS[column.type.unit]
    values = column.cast(pa.int64()).to_pylist()
    return [None if value is None else _interval_text(0, 0, value * unit_ns) for value in values]


def _interval(column: pa.Array) -> Texts:
    return [
        None if value is None else _interval_text(value.months, value.days, value.nanoseconds)
        for value in column.to_pylist()
    ]


def _interval_text(months: int, days: int, nanoseconds: int) -> str:
    if not months:
        whole_days = math.trunc(nanoseconds / (_DAY_S * _UNITS_NS["s"]))
        if not days and whole_days:
            days, nanoseconds = whole_days, nanoseconds - whole_days * _DAY_S * _UNITS_NS["s"]
    years, months = int(months / 12), months - int(months / 12) * 12
    parts = [_counted(years, "year"), _counted(months, "month"), _counted(days, "day")]
    clock = _clock(nanoseconds) if nanoseconds or not any(parts) else ""
    return " ".join(part for part in (*parts, clock) if part)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if abs(count) == 1 else 's'}" if count else ""


def _clock(nanoseconds: int) -> str:
    seconds, fraction = divmod(abs(nanoseconds), _UNITS_NS["s"])
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    if fraction:
        text += f".{fraction:09d}".rstrip("0")
    return f"-{text}" if nanoseconds < 0 else text


# --- nested -----------------------------------------------------------------------------------


def _nested(column: pa.Array) -> Texts:
    found = _json(column)
    return [None if is_null else text for text, is_null in zip(found, _nulls(column), strict=True)]


def _nulls(column: pa.Array) -> list[bool]:
    nulls: list[bool] = column.is_null().to_pylist()
    return nulls


def _json(column: pa.Array) -> list[str]:
    """Each value as JSON, a missing one as `null`."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _json(column.dictionary_decode())
    if pa.types.is_map(kind):
        return _json_maps(column)
    if _is_list(kind):
        return _json_lists(column)
    if pa.types.is_struct(kind):
        return _json_structs(column)
    is_bare = pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)
    return [_json_cell(text, is_bare) for text in _texts(column)]


def _json_cell(text: str | None, is_bare: bool) -> str:
    if text is None:
        return "null"
    if is_bare and text not in _NO_NUMBERS.values():
        return text
    return json.dumps(text, ensure_ascii=False)


def _json_lists(column: pa.Array) -> list[str]:
    values = _json(column.flatten())
    lengths = pc.list_value_length(column).to_pylist()
    return ["null" if part is None else f"[{','.join(part)}]" for part in _parts(values, lengths)]


def _json_maps(column: pa.MapArray) -> list[str]:
    begin, end = _bounds(column)
    keys = [json.dumps(text, ensure_ascii=False) for text in _texts(column.keys.slice(begin, end - begin))]
    values = _json(column.items.slice(begin, end - begin))
    offsets = column.offsets.to_pylist()
    found = []
    for first, last, is_null in zip(offsets, offsets[1:], _nulls(column), strict=False):
        pairs = zip(keys[first - begin : last - begin], values[first - begin : last - begin], strict=True)
        found.append("null" if is_null else "{" + ",".join(f"{key}:{value}" for key, value in pairs) + "}")
    return found


def _bounds(column: pa.MapArray) -> tuple[int, int]:
    offsets = column.offsets
    return (offsets[0].as_py(), offsets[-1].as_py()) if len(column) else (0, 0)


def _json_structs(column: pa.StructArray) -> list[str]:
    names = [json.dumps(field.name, ensure_ascii=False) for field in column.type]
    children = [_json(child) for child in column.flatten()]
    cells: Iterable[tuple[str, ...]] = zip(*children, strict=True) if children else [()] * len(column)
    return [
        "null" if is_null else "{" + ",".join(f"{n}:{v}" for n, v in zip(names, values, strict=True)) + "}"
        for values, is_null in zip(cells, _nulls(column), strict=True)
    ]


def _parts(values: list[str], lengths: list[int | None]) -> Iterable[list[str] | None]:
    at = 0
    for length in lengths:
        if length is None:
            yield None
            continue
        yield values[at : at + length]
        at += length


def _union(column: pa.UnionArray) -> Texts:
    return [None if value is None else _text_of(value) for value in column.to_pylist()]


def _text_of(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


#: The first that fits writes the column; what is not named here Arrow's own cast writes well.
_WRITERS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[Any], Written]], ...] = (
    (lambda kind: isinstance(kind, pa.BaseExtensionType), _extension),
    (_is_text, _plain),
    (pa.types.is_float64, _double),
    (pa.types.is_floating, _float),
    (pa.types.is_decimal, _decimal),
    (pa.types.is_null, _nothing),
    (pa.types.is_date, _date),
    (pa.types.is_timestamp, _timestamp),
    (pa.types.is_time, _time),
    (pa.types.is_duration, _duration),
    (lambda kind: kind == pa.month_day_nano_interval(), _interval),
    (_is_bytes, _bytes),
    (pa.types.is_dictionary, lambda column: _written(column.dictionary_decode())),
    (pa.types.is_run_end_encoded, lambda column: _written(pc.run_end_decode(column))),
    (
        pa.types.is_nested,
        lambda column: _union(column) if pa.types.is_union(column.type) else _nested(column),
    ),
)
