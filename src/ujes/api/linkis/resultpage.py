"""A page of a result set as `openFile` shows it. Blocks; called in a thread.

`totalLine` is the number of rows in *this* page and `totalPage` is 0: clients page until a page is empty.
Cells are texts or null, never numbers. See `filesystem-and-results.md`, section 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ujes.api.linkis.pagequery import COLUMN_PAGE_WRONG, PageAsked
from ujes.core.errors import InvalidRequest
from ujes.results import cells, rowjson
from ujes.results.reader import ResultUnreadable

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from ujes.results.reader import Readers

#: With more columns than this the console is told so.
COLUMNS_SHOWN_MAX = 10_000
#: The console does not show a page with a row of more text than this, in characters.
ROW_CHARS_MAX = 20 * 1024 * 1024

_UNREADABLE = 80012

_TYPES = {"text": "1", "table": "2", "picture": "4", "html": "5"}
_NULL = "NULL"
#: How much longer a value may be as text than in Arrow, about.
_TEXT_GROWTH = 8

_JSON_NULL = "LINKIS_NULL"


def read(readers: Readers, path: Path, asked: PageAsked) -> dict[str, Any]:
    """`data` of the answer. Raises `InvalidRequest` for a file that cannot be read."""
    try:
        reader = readers.get(path)
        page = reader.page((asked.page - 1) * asked.size, asked.size)
    except ResultUnreadable as error:
        raise InvalidRequest(str(error).replace(str(path), path.name), code=_UNREADABLE) from None
    if reader.kind == "table":
        return _table(page, asked)
    lines = [[line] for line in page.column(0).to_pylist()]
    return {
        "metadata": _NULL,
        "fileContent": lines,
        "type": _TYPES[reader.kind],
        **_counts(len(lines), asked),
    }


def _table(page: pa.Table, asked: PageAsked) -> dict[str, Any]:
    total_columns = page.num_columns
    if asked.columns is not None:
        page = _column_page(page, asked.columns)
    if asked.columns is not None and _has_long_row(page):
        return _PROHIBITED
    rows = msgspec.Raw(_rows(page, asked.null_value))
    metadata = [
        {"columnName": field.name, "comment": _comment(field), "dataType": cells.data_type(field)}
        for field in page.schema
    ]
    data = {"metadata": metadata, "totalColumn": total_columns, "fileContent": rows, "type": _TYPES["table"]}
    return {
        **data,
        **_counts(page.num_rows, asked),
        **(_MANY_COLUMNS if total_columns > COLUMNS_SHOWN_MAX else {}),
    }


def _counts(rows: int, asked: PageAsked) -> dict[str, int]:
    return {"totalLine": rows, "page": asked.page, "totalPage": 0}


def _column_page(page: pa.Table, columns: slice) -> pa.Table:
    if columns.start >= page.num_columns:
        sentence = f"There is no such page of columns; the result set has {page.num_columns} columns."
        raise InvalidRequest(sentence, code=COLUMN_PAGE_WRONG)
    return page.select(list(range(page.num_columns))[columns])


def _comment(field: pa.Field) -> str:
    return str((field.metadata or {}).get(b"comment", b"").decode("utf-8", "replace"))


def _rows(page: pa.Table, null_value: str) -> bytes:
    """Without a `nullValue` a null reads `NULL`, with `LINKIS_NULL` it stays null; any other value stands
    for nulls, the text `NULL` and empty texts alike."""
    if null_value == _JSON_NULL:
        return rowjson.rows(page)
    if null_value in ("", "BLANK"):
        return rowjson.rows(page, null=_NULL)
    return rowjson.rows(page, null=null_value, as_null=("", _NULL))


def _has_long_row(page: pa.Table) -> bool:
    if page.nbytes * _TEXT_GROWTH <= ROW_CHARS_MAX:
        return False
    return any(sum(len(text) for text in row if text) > ROW_CHARS_MAX for row in cells.rows(page))


_PROHIBITED: dict[str, Any] = {
    "type": _TYPES["table"],
    "display_prohibited": True,
    "zh_msg": "结果集中有超过20M的行，无法在页面展示，请下载或通过其他方式读取。",
    "en_msg": "A row of this result set has more than 20 MB, too much to show. Read it in another way.",
}
_MANY_COLUMNS: dict[str, Any] = {
    "column_limit_display": True,
    "zh_msg": f"结果集的列数超过{COLUMNS_SHOWN_MAX}，请分页查看。",
    "en_msg": f"This result set has more than {COLUMNS_SHOWN_MAX} columns; look at them page by page.",
}
