"""Showing the result sets of a job in the form that was asked for."""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO, Literal

import click

from ujes.cli import formats
from ujes.cli.failure import Failure
from ujes.cli.table import draw
from ujes.client import Client
from ujes.client.values import Job, Page

Format = Literal["table", "csv", "json", "arrow"]
FORMATS: tuple[Format, ...] = ("table", "csv", "json", "arrow")
LIMIT_DEFAULT = 100

_WRITERS: dict[Format, Callable[[Iterator[Page], BinaryIO], None]] = {
    "csv": formats.write_csv,
    "json": formats.write_json,
    "arrow": formats.write_arrow,
}
_PICTURE = re.compile(r"data:(image/[\w.+-]+);base64,([A-Za-z0-9+/=\s]+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Showing:
    format: Format
    #: rows drawn of a table
    limit: int


def check_output(format_: Format) -> None:
    """Before anything is run: Arrow is for programs."""
    if format_ == "arrow" and sys.stdout.isatty():
        raise Failure(
            "Arrow is binary: send it to a file or a pipe, as in `... --format arrow > result.arrow`."
        )


def show_results(client: Client, job: Job, showing: Showing, *, only: int | None = None) -> None:
    """Every result set of `job` to standard output, or the one with number `only`."""
    paths = chosen(client.result_files(job), job, only)
    if not paths and job.state == "Succeed":
        click.echo(f"Job {job.id} has no result.", err=True)
    for at, path in enumerate(paths):
        if at and showing.format == "csv":
            click.echo()
        show(client, path, showing, job)


def chosen(paths: Sequence[str], job: Job, only: int | None) -> Sequence[str]:
    if only is None:
        return paths
    if not 0 <= only < len(paths):
        raise Failure(
            f"Job {job.id} has {len(paths)} result sets, numbered from 0; there is no number {only}."
        )
    return [paths[only]]


def show(client: Client, path: str, showing: Showing, job: Job) -> None:
    if showing.format == "table":
        _show_table(client, path, showing.limit, job)
        return
    out = sys.stdout.buffer
    write(client.pages(path), out, showing.format)
    out.flush()


def write(pages: Iterator[Page], out: BinaryIO, format_: Format) -> None:
    """A result set in a form for programs; a text as csv is itself."""
    first = next(pages)
    rest = _chained(first, pages)
    if format_ in ("csv", "table") and first.kind != "table":
        formats.write_text(rest, out)
    else:
        _WRITERS["csv" if format_ == "table" else format_](rest, out)


def _chained(first: Page, rest: Iterator[Page]) -> Iterator[Page]:
    yield first
    yield from rest


def _show_table(client: Client, path: str, limit: int, job: Job) -> None:
    first = client.open_page(path, 1, max(limit, 1))
    if first.kind == "text":
        formats.write_text(client.pages(path), sys.stdout.buffer)
    elif first.kind == "table":
        rows = first.rows[:limit]
        notes = [_count_note(client, path, len(rows), limit)]
        draw(first.columns, rows, sys.stdout, notes=notes)
    else:
        click.echo(_described(first, path, job))


def _count_note(client: Client, path: str, shown: int, limit: int) -> str:
    total = shown if shown < limit else count_rows(client, path, shown)
    if total == shown:
        return "1 row" if total == 1 else f"{total:,} rows"
    return f"first {shown:,} of {total:,} rows in all; --limit shows more, --format csv has them all"


def count_rows(client: Client, path: str, at_least: int) -> int:
    """How many rows there are: the wire does not tell, but a page of one row is there or is not."""

    def has(row: int) -> bool:
        return bool(client.open_page(path, row, 1).rows)

    step = 1
    while has(at_least + step):
        at_least, step = at_least + step, step * 2
    missing = at_least + step
    while missing - at_least > 1:
        middle = (at_least + missing) // 2
        at_least, missing = (middle, missing) if has(middle) else (at_least, middle)
    return at_least


def _described(page: Page, path: str, job: Job) -> str:
    number = _number(path)
    content, ending = decoded(page)
    what = "picture" if page.kind == "picture" or ending != "html" else "HTML page"
    return (
        f"[{what}, {len(content):,} bytes; save it with: "
        f"ujes result {job.id} --set {number} -o result-{job.id}-{number}.{ending}]"
    )


def decoded(page: Page) -> tuple[bytes, str]:
    """The picture in a picture's HTML, or the HTML itself; and the ending its file should have."""
    text = "\n".join(row[0] or "" for row in page.rows if row)
    picture = _PICTURE.search(text)
    if picture is None:
        return text.encode("utf-8", "surrogateescape"), "html"
    return base64.b64decode(picture[2]), picture[1].partition("/")[2].partition("+")[0]


def _number(path: str) -> int:
    found = re.search(r"\d+", PurePosixPath(path).name)
    return int(found[0]) if found else 0
