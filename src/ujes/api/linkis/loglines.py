"""Log lines sorted by level, into the four texts of the wire: errors, warnings, information, all. Pure.

The two endpoints that show logs sort differently. `entrance/{id}/log` counts a line without a header as
information and leaves blank lines out of the texts; `filesystem/openLog` lets such a line follow the level
before it and leaves nothing out. See `entrance.md`, section 7, and `filesystem-and-results.md`, section 5.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

Level = Literal["ERROR", "WARN", "INFO"]
LEVELS: tuple[Level, ...] = ("ERROR", "WARN", "INFO")

#: Lines of chatty parts, left out of the texts unless they are errors.
EXCLUDED = ("com.netflix",)

_HEADER = re.compile(
    r"\d{4}[-/]\d\d[-/]\d\d \d\d:\d\d:\d\d(?:\.\d{3})? *(?:SYSTEM-)?(ERROR|WARN|INFO)\b", re.ASCII
)


def level_of(line: str) -> Level | None:
    """The level in the line's header; None for a line without one."""
    match = _HEADER.match(line)
    if match is None:
        return None
    return "ERROR" if match[1] == "ERROR" else "WARN" if match[1] == "WARN" else "INFO"


def by_level(lines: Sequence[str]) -> list[str]:
    """The four texts of `entrance/{id}/log`, without a line end after the last line."""
    if not lines:
        return ["", "", "", ""]
    if _is_noisy("\n".join(lines)):
        lines = [line for line in lines if level_of(line) == "ERROR" or not _is_noisy(line)]
    buckets: dict[str, list[str]] = {level: [] for level in LEVELS}
    every = [line for line in lines if line and not line.isspace()]
    for line in every:
        header = _HEADER.match(line)
        buckets[header[1] if header else "INFO"].append(line)
    return ["\n".join(shown) for shown in (*buckets.values(), every)]


def _is_noisy(text: str) -> bool:
    return any(word in text for word in EXCLUDED)


def by_level_of_file(text: str, wanted: Sequence[Level] = LEVELS) -> list[str]:
    """The four texts of `openLog`, each line with its end; only `wanted` levels, all in the fourth."""
    buckets: dict[Level, list[str]] = {level: [] for level in LEVELS}
    every: list[str] = []
    level: Level | None = None
    for line in text.removesuffix("\n").split("\n") if text else ():
        level = level_of(line) or level
        if level is not None and level not in wanted:
            continue
        every.append(line)
        if level is not None:
            buckets[level].append(line)
    return ["".join(f"{line}\n" for line in shown) for shown in (*buckets.values(), every)]
