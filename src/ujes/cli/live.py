"""One live line at the bottom of a terminal, with ordinary lines above it; plain lines anywhere else."""

from __future__ import annotations

import shutil
from typing import TextIO

import click

_CLEAR = "\r\x1b[2K"
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_BAR_CHARS = 20

STATE_COLOURS = {
    "Inited": "cyan",
    "Scheduled": "cyan",
    "WaitForRetry": "cyan",
    "Running": "blue",
    "Succeed": "green",
    "Failed": "red",
    "Cancelled": "yellow",
    "Timeout": "red",
}
_LEVEL_COLOURS = {" ERROR ": "red", " WARN ": "yellow"}
_LEVEL_PLACE = slice(23, 32)


class LiveLine:
    def __init__(self, out: TextIO) -> None:
        self._out = out
        self.is_live = out.isatty()
        self._line = ""
        self._turn = 0

    def show(self, line: str) -> None:
        """Replace the live line."""
        if not self.is_live:
            return
        self._turn += 1
        spinner = click.style(_SPINNER[self._turn % len(_SPINNER)], fg="blue")
        self._line = f"{spinner} {line}"
        self._draw(self._line)

    def say(self, lines: str) -> None:
        """Print something above the live line."""
        self._out.write(f"{_CLEAR if self.is_live and self._line else ''}{lines}\n")
        self._draw(self._line)

    def close(self) -> None:
        if self._line:
            self._line = ""
            self._out.write(_CLEAR)
        self._out.flush()

    def _draw(self, line: str) -> None:
        if line:
            self._out.write(_CLEAR + line)
        self._out.flush()


def bar(fraction: float) -> str:
    """A bar and a percentage, as far as the terminal has room."""
    percent = f"{round(fraction * 100):3d} %"
    if shutil.get_terminal_size().columns < 3 * _BAR_CHARS:
        return percent
    full = round(fraction * _BAR_CHARS)
    return f"{click.style('━' * full, fg='blue')}{click.style('─' * (_BAR_CHARS - full), dim=True)} {percent}"


def coloured_state(state: str, text: str | None = None) -> str:
    return click.style(text or state, fg=STATE_COLOURS.get(state), bold=True)


def coloured_log_line(line: str) -> str:
    """Headers tell the level; lines of the program's own stay as they are."""
    level = next((name for name in _LEVEL_COLOURS if name in line[_LEVEL_PLACE]), None)
    if level is not None:
        return click.style(line, fg=_LEVEL_COLOURS[level])
    return click.style(line, dim=True) if " INFO " in line[_LEVEL_PLACE] else line


def seconds(duration_s: float) -> str:
    """`0.4 s`, `12.3 s`, `2 min 05 s`, `1 h 02 min`."""
    if duration_s < 60:  # noqa: PLR2004 - a minute
        return f"{duration_s:.1f} s"
    minutes, rest_s = divmod(round(duration_s), 60)
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left:02d} min" if hours else f"{minutes} min {rest_s:02d} s"
