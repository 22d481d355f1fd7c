"""python3 dev.py bench [PART ...]: measure these parts of the table; without any, all, and write the page."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks import latency, memory, results, starting, throughput
from benchmarks.row import Row

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
PARTS: dict[str, Callable[[], Iterator[Row]]] = {
    "starting": starting.rows,
    "latency": latency.rows,
    "throughput": throughput.rows,
    "results": results.rows,
    "memory": memory.rows,
}

_INTRO = """# Benchmarks

Written by `python3 dev.py bench`. Each row is a ratio: ours to the thing beside it, both taken in turns in
one run on one machine, medians. Every measurement checks that the answers were right. A ratio changes less
from machine to machine than a time does; no test depends on either.
"""


def main(words: Sequence[str]) -> int:
    console = Console()
    rows: list[Row] = []
    for name, part in PARTS.items():
        if words and name not in words:
            continue
        for row in part():
            rows.append(row)
            console.print(f"[dim]{row.what}:[/] {row.value_shown} ({row.budget_shown})")
    console.print(_drawn(rows))
    if not words:
        PAGE.write_text(_page(rows), encoding="utf-8")
    return 0


def _drawn(rows: Sequence[Row]) -> Table:
    table = Table("what", "against", "ours", "theirs", "ratio", "budget", "kept", show_lines=True)
    for row in rows:
        kept = "[green]yes[/]" if row.is_kept else "[red]no[/]"
        table.add_row(row.what, row.against, *_numbers(row), row.value_shown, row.budget_shown, kept)
    return table


def _numbers(row: Row) -> tuple[str, str]:
    return f"{_short(row.ours)} {row.unit}", "-" if row.theirs is None else f"{_short(row.theirs)} {row.unit}"


def _short(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ") if value >= 100 else f"{value:.3g}"


def _page(rows: Sequence[Row]) -> str:
    lines = [_INTRO, f"Measured on {_machine()}.\n"]
    lines += ["| what | against | ours | theirs | ratio | budget | kept |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        kept = "yes" if row.is_kept else "**no**"
        cells = [row.what, row.against, *_numbers(row), row.value_shown, row.budget_shown, kept]
        lines.append(f"| {' | '.join(cells)} |")
    notes = [f"- *{row.what}*: {text}" for row in rows if (text := _remarks(row))]
    return "\n".join([*lines, "", "Notes:", "", *notes, ""])


def _remarks(row: Row) -> str:
    missed = f"Missed. {row.limited_by}" if not row.is_kept else ""
    return " ".join(text for text in (row.note, missed) if text)


def _machine() -> str:
    memory_gib = psutil.virtual_memory().total / 2**30
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {memory_gib:.0f} GiB, "
        f"Python {platform.python_version()}"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
