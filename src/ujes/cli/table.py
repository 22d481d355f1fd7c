"""Drawing rows as a table that fits the terminal.

Columns are as wide as what is in them, within bounds. When they do not fit, wide ones are shortened first;
what is still too much is left out at the right, and a line below names it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from ujes.client.values import Column

if TYPE_CHECKING:
    from rich.table import Table

#: A column is not made narrower than this to make room for others.
NARROW_CHARS = 8
CELL_CHARS_MAX = 60
#: Space a table needs around each cell, and at its edge.
_CELL_EDGE = 3
_EDGE = 1
NULL = "NULL"

Row = Sequence[str | None]

_NUMBERS = frozenset(
    "tinyint smallint short int integer bigint long float double decimal numeric".split()  # noqa: SIM905
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """Which columns are shown, and how wide."""

    widths: tuple[int, ...]

    @property
    def shown(self) -> int:
        return len(self.widths)


def shown_text(text: str) -> str:
    """On one line, and without characters that would command the terminal."""
    if text.isprintable():
        return text
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    return {"\n": "⏎", "\t": " "}.get(character) or ("·" if unicodedata.category(character) == "Cc" else "�")


def fit(natural: Sequence[int], available: int | None) -> Fit:
    """Widths for columns that would like to be `natural` wide; None is a table of any width."""
    bounded = [min(width, CELL_CHARS_MAX) if available is not None else width for width in natural]
    if available is None:
        return Fit(widths=tuple(bounded))
    shown = _shown(bounded, available - _EDGE)
    widths = bounded[:shown]
    excess = sum(widths) + _CELL_EDGE * shown - (available - _EDGE)
    while excess > 0:
        widest = max(range(shown), key=widths.__getitem__)
        if widths[widest] <= 1:
            break
        widths[widest] -= 1
        excess -= 1
    return Fit(widths=tuple(widths))


def _shown(widths: Sequence[int], room: int) -> int:
    """How many columns there is room for when all are as narrow as they may get; at least one."""
    shown = 0
    for width in widths:
        room -= min(width, NARROW_CHARS) + _CELL_EDGE
        if room < 0:
            break
        shown += 1
    return max(shown, min(1, len(widths)))


def draw(
    columns: Sequence[Column],
    rows: Sequence[Row],
    out: TextIO,
    *,
    notes: Sequence[str] = (),
    show_types: bool = True,
) -> None:
    """Print the table, then `notes` and what had to be left out."""
    from rich.cells import cell_len  # noqa: PLC0415 - only for those who draw
    from rich.console import Console  # noqa: PLC0415

    texts = [[NULL if cell is None else shown_text(cell) for cell in row] for row in rows]
    natural = [
        max(
            cell_len(shown_text(column.name)), cell_len(column.type), *(cell_len(row[at]) for row in texts), 1
        )
        for at, column in enumerate(columns)
    ]
    probe = Console(file=out, highlight=False)
    fitted = fit(natural, probe.width if probe.is_terminal else None)
    needed = sum(fitted.widths) + _CELL_EDGE * fitted.shown + _EDGE
    console = Console(
        file=out, highlight=False, markup=False, width=max(needed, probe.width), soft_wrap=False
    )
    console.print(_table(columns, rows, texts, fitted, show_types=show_types))
    left_out = [shown_text(column.name) for column in columns[fitted.shown :]]
    for note in [*notes, *_left_out(left_out)]:
        console.print(note, style="dim", overflow="ellipsis", no_wrap=probe.is_terminal)


def _left_out(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    what = "1 more column" if len(names) == 1 else f"{len(names)} more columns"
    return [f"{what} not shown: {', '.join(names)}"]


def _table(
    columns: Sequence[Column],
    rows: Sequence[Row],
    texts: Sequence[Sequence[str]],
    fitted: Fit,
    *,
    show_types: bool,
) -> Table:
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=box.ROUNDED, border_style="dim", header_style="bold")
    for column, width in zip(columns, fitted.widths, strict=False):
        header = Text(shown_text(column.name), overflow="ellipsis", no_wrap=True)
        if show_types:
            header.append(f"\n{column.type}", style="dim not bold")
        is_number = column.type in _NUMBERS
        table.add_column(
            header, width=width, no_wrap=True, overflow="ellipsis", justify="right" if is_number else "left"
        )
    for row, line in zip(rows, texts, strict=True):
        cells = zip(row[: fitted.shown], line, strict=False)
        table.add_row(*(Text(text, style="dim italic" if cell is None else "") for cell, text in cells))
    return table
