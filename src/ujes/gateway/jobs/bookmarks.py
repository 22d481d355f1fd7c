"""How far the logs of unfinished jobs had been pushed when a gateway stopped, for the one that follows.

A gateway that is killed leaves none; then a page goes on with the first line that comes after the restart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

#: A longer file is not ours.
BYTES_MAX = 16 * 1024 * 1024


def save(path: Path, next_lines: Mapping[int, int]) -> None:
    """Keep the number of the next line of each job. Raises OSError."""
    if not next_lines:
        return
    unready = path.with_name(f".{path.name}")
    unready.write_bytes(msgspec.json.encode(next_lines))
    unready.replace(path)


def take(path: Path) -> dict[int, int]:
    """What was kept, once: the next start must not find it again. Empty when there is nothing of use."""
    try:
        with path.open("rb") as file:
            content = file.read(BYTES_MAX)
        path.unlink()
        return msgspec.json.decode(content, type=dict[int, int])
    except (OSError, msgspec.DecodeError):
        return {}
