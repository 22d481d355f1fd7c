"""Which page of a result set a client asks for. Reading it is `resultpage.py`, which brings pyarrow."""

from __future__ import annotations

from dataclasses import dataclass

from ujes.api.linkis import url
from ujes.core.errors import InvalidRequest

PAGE_SIZE_DEFAULT = 5000
COLUMN_PAGE_SIZE_MAX = 500

COLUMN_PAGE_WRONG = 80036
_PAGE_TOO_LARGE = 80034


@dataclass(frozen=True, kw_only=True, slots=True)
class PageAsked:
    page: int
    size: int
    #: what stands for null, see `resultpage`
    null_value: str
    #: from `columnPage`, only for the console
    columns: slice | None = None


def page_asked(params: dict[str, str], page_rows_max: int) -> PageAsked:
    """What the query asks for; blank values are defaults. Raises `InvalidRequest`."""
    page, size = url.number(params, "page", 1), url.number(params, "pageSize", PAGE_SIZE_DEFAULT)
    if page < 1 or size < 1:
        raise InvalidRequest("`page` and `pageSize` must be 1 or more.", code=_PAGE_TOO_LARGE)
    if size > page_rows_max:
        raise InvalidRequest(f"`pageSize` may be {page_rows_max} at most.", code=_PAGE_TOO_LARGE)
    columns = _columns_asked(params) if url.is_true(params, "enableLimit") else None
    return PageAsked(page=page, size=size, null_value=params.get("nullValue", ""), columns=columns)


def _columns_asked(params: dict[str, str]) -> slice:
    page = url.number(params, "columnPage", 1)
    size = url.number(params, "columnPageSize", COLUMN_PAGE_SIZE_MAX)
    if page < 1 or not 1 <= size <= COLUMN_PAGE_SIZE_MAX:
        sentence = (
            f"`columnPage` must be 1 or more and `columnPageSize` between 1 and {COLUMN_PAGE_SIZE_MAX}."
        )
        raise InvalidRequest(sentence, code=COLUMN_PAGE_WRONG)
    return slice((page - 1) * size, page * size)
