"""Tables that fit, and result sets written for programs."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ujes.cli import formats
from ujes.cli.failure import Failure
from ujes.cli.live import seconds
from ujes.cli.sample import ROWS, sales_csv
from ujes.cli.show import count_rows, decoded
from ujes.cli.table import draw, fit, shown_text
from ujes.client.values import Column, Page

A, B = Column(name="a", type="int"), Column(name="b", type="string")


def page(*rows: tuple[str | None, ...], columns: tuple[Column, ...] = (A, B), kind: str = "table") -> Page:
    return Page(kind=kind, columns=columns, rows=rows)  # type: ignore[arg-type]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@given(st.lists(st.integers(1, 500), max_size=60), st.integers(20, 300))
def test_a_table_is_never_wider_than_the_terminal(natural: list[int], width: int) -> None:
    fitted = fit(natural, width)
    assert sum(fitted.widths) + 3 * fitted.shown + 1 <= width
    assert fitted.shown >= min(1, len(natural))
    assert all(shown <= wanted for shown, wanted in zip(fitted.widths, natural, strict=False))


def test_a_table_in_a_pipe_is_as_wide_as_it_likes() -> None:
    assert fit([100, 200], None).widths == (100, 200)


def test_columns_without_room_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    columns = tuple(Column(name=f"column_{number}", type="string") for number in range(9))
    out = Terminal()
    draw(columns, [tuple("x" * 30 for _ in columns)], out)
    text = out.getvalue()
    assert "column_0" in text or "column…" in text
    assert "more columns not shown" in text


def test_a_table_shows_nulls_and_one_line_a_row() -> None:
    out = io.StringIO()
    draw((A, B), [("1", "two\nlines"), (None, "\x1b[31mred")], out, notes=["2 rows"])
    lines = out.getvalue().splitlines()
    assert len(lines) == 8
    assert "two⏎lines" in lines[4]
    assert "NULL" in lines[5]
    assert "\x1b" not in out.getvalue()
    assert lines[-1] == "2 rows"


def test_an_empty_table_and_one_without_columns() -> None:
    out = io.StringIO()
    draw((A,), [], out)
    draw((), [], out)
    assert "int" in out.getvalue()


@given(st.text())
def test_no_text_commands_the_terminal(text: str) -> None:
    assert shown_text(text).isprintable() or "�" in shown_text(text)


def test_csv() -> None:
    out = io.BytesIO()
    formats.write_csv(iter([page(("1", "x,y"), (None, 'q"')), page(("2", ""))]), out)
    assert out.getvalue().decode() == 'a,b\n1,"x,y"\n,"q"""\n2,\n'


def test_json_lines_have_types_and_names_of_their_own() -> None:
    out = io.BytesIO()
    columns = (A, Column(name="a", type="decimal"), Column(name="a_2", type="boolean"))
    formats.write_json(iter([page(("1", "1.50", "true"), (None, None, None), columns=columns)]), out)
    first, second = [json.loads(line) for line in out.getvalue().splitlines()]
    assert list(first.values()) == [1, "1.50", True]
    assert len(first) == 3
    assert set(second.values()) == {None}


@given(st.lists(st.sampled_from(["a", "a_2", "a_3", "b"]), max_size=8))
def test_names_become_unique(names: list[str]) -> None:
    unique = formats.unique_names([Column(name=name, type="int") for name in names])
    assert len(set(unique)) == len(names)


def test_arrow() -> None:
    columns = (A, Column(name="d", type="decimal"), Column(name="s", type="struct"))
    out = io.BytesIO()
    formats.write_arrow(
        iter([page(("1", "1.50", "{}"), columns=columns), page((None, None, None), columns=columns)]), out
    )
    table = pa.ipc.open_stream(out.getvalue()).read_all()
    assert table.to_pylist() == [{"a": 1, "d": Decimal("1.50"), "s": "{}"}, {"a": None, "d": None, "s": None}]


def test_a_cell_that_does_not_fit_arrow_is_a_sentence() -> None:
    with pytest.raises(Failure, match="Column a does not fit"):
        formats.write_arrow(iter([page(("x", "y"))]), io.BytesIO())


def test_pictures_are_taken_out_of_their_page() -> None:
    html = '<img src="data:image/png;base64,aGk=">'
    assert decoded(page((html,), columns=(B,), kind="picture")) == (b"hi", "png")
    assert decoded(page(("<b>x</b>",), columns=(B,), kind="html")) == (b"<b>x</b>", "html")


class Counted:
    """As many rows as it is told."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def open_page(self, _path: str, number: int, _page_rows: int) -> Page:
        return page(*([("1", "x")] if number <= self.rows else []))


@pytest.mark.parametrize("rows", [3, 4, 5, 250, 100_000])
def test_rows_are_counted(rows: int) -> None:
    assert count_rows(Counted(rows), "/r", 3) == rows  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("duration_s", "text"), [(0.04, "0.0 s"), (59.9, "59.9 s"), (125, "2 min 05 s"), (3720, "1 h 02 min")]
)
def test_durations(duration_s: float, text: str) -> None:
    assert seconds(duration_s) == text


def test_sample_data_is_the_same_everywhere() -> None:
    lines = sales_csv().splitlines()
    assert len(lines) == ROWS + 1
    assert sales_csv() == sales_csv()
    assert {line.split(",")[1] for line in lines[1:]} == {
        "Berlin",
        "Lyon",
        "Osaka",
        "Porto",
        "Shenzhen",
        "Toronto",
    }


def pages() -> Iterator[Page]:
    yield page(("x",), ("",), (None,), columns=(B,), kind="text")


def test_texts_are_written_as_they_are() -> None:
    out = io.BytesIO()
    formats.write_text(pages(), out)
    assert out.getvalue() == b"x\n\n\n"
