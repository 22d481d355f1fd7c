"""Writing a result set to a file or a pipe: csv, JSON lines, Arrow.

- csv: a header, then the rows; a missing value is empty. Texts are written as they are.
- json: one object a row, each on a line of its own. Decimals are texts, so that no digit is lost.
- arrow: one IPC stream for each result set; nested values are JSON texts.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from ujes.cli.failure import Failure
from ujes.client.cells import typed_rows
from ujes.client.values import Column, Page

if TYPE_CHECKING:
    import pyarrow as pa


def write_text(pages: Iterator[Page], out: BinaryIO) -> None:
    for page in pages:
        lines = (row[0] or "" for row in page.rows if row)
        out.writelines(f"{line}\n".encode("utf-8", "surrogateescape") for line in lines)


def write_csv(pages: Iterator[Page], out: BinaryIO) -> None:
    for number, page in enumerate(pages):
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        if number == 0:
            writer.writerow(column.name for column in page.columns)
        writer.writerows(page.rows)
        out.write(text.getvalue().encode("utf-8", "surrogateescape"))


def write_json(pages: Iterator[Page], out: BinaryIO) -> None:
    encoder = msgspec.json.Encoder()
    for page in pages:
        names = unique_names(page.columns)
        rows = typed_rows(page.columns, page.rows)
        out.write(encoder.encode_lines([dict(zip(names, row, strict=False)) for row in rows]))


def write_arrow(pages: Iterator[Page], out: BinaryIO) -> None:
    import pyarrow as pa  # noqa: PLC0415

    first = next(pages)
    schema = pa.schema(
        pa.field(column.name, _arrow_type(column, first, at)) for at, column in enumerate(first.columns)
    )
    with pa.ipc.new_stream(pa.PythonFile(out, mode="w"), schema) as stream:
        stream.write_batch(_batch(first, schema))
        for page in pages:
            stream.write_batch(_batch(page, schema))


def unique_names(columns: Sequence[Column]) -> list[str]:
    """Names for the keys of an object: one that is there twice gets a number."""
    seen: Counter[str] = Counter()
    taken = {column.name for column in columns}
    names = []
    for column in columns:
        seen[column.name] += 1
        name = column.name
        while seen[column.name] > 1 and name in taken:
            name = f"{column.name}_{seen[column.name]}"
            seen[column.name] += name in taken
        taken.add(name)
        names.append(name)
    return names


def _arrow_type(column: Column, first: Page, at: int) -> pa.DataType:
    import pyarrow as pa  # noqa: PLC0415

    plain: dict[str, Any] = {
        **dict.fromkeys(("tinyint", "smallint", "short", "int", "integer"), pa.int32()),
        **dict.fromkeys(("bigint", "long"), pa.int64()),
        "float": pa.float32(),
        "double": pa.float64(),
        **dict.fromkeys(("boolean", "bool"), pa.bool_()),
        **dict.fromkeys(("timestamp", "datetime"), pa.timestamp("us")),
        "date": pa.date32(),
    }
    if column.type in ("decimal", "numeric"):
        return pa.decimal128(38, max((_scale(row[at]) for row in first.rows), default=0))
    return plain.get(column.type, pa.string())


def _scale(text: str | None) -> int:
    return len((text or "").partition(".")[2])


def _batch(page: Page, schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa  # noqa: PLC0415

    arrays = []
    for at, field in enumerate(schema):
        texts = pa.array([row[at] for row in page.rows], pa.string())
        try:
            arrays.append(texts.cast(field.type))
        except pa.ArrowInvalid as error:
            why = str(error).partition("\n")[0]
            raise Failure(
                f"Column {field.name} does not fit an Arrow column ({why}); use --format csv."
            ) from None
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
