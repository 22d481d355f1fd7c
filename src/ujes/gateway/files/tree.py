"""What is in a folder: one level, in the order clients put result sets together."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from ujes.core.errors import InvalidRequest
from ujes.gateway.files.files import UNREADABLE
from ujes.gateway.files.opening import folder_above, folder_to_list

#: A folder with more entries is not listed.
ENTRIES_MAX = 100_000

_FIRST_NUMBER = re.compile(r"[0-9]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class FileEntry:
    name: str
    is_folder: bool
    size_bytes: int
    modified_at_ms: int


def look_at(path: Path) -> FileEntry | None:
    """What is at a path; None when nothing is. Links are not followed. Blocks."""
    try:
        with folder_above(path) as folder:
            state = os.stat(path.name or ".", dir_fd=folder, follow_symlinks=False)
    except OSError:
        return None
    return _entry(path.name, state)


def list_folder(path: Path) -> tuple[FileEntry, ...]:
    """The entries of a folder but those whose name begins with a dot. Blocks."""
    entries: list[FileEntry] = []
    try:
        with folder_to_list(path) as folder, os.scandir(folder) as found:
            for item in found:
                if not item.name.startswith("."):
                    entries.extend(_still_there(item))
                if len(entries) > ENTRIES_MAX:
                    raise InvalidRequest(
                        f"The folder {path.name} has too many entries to list.", code=UNREADABLE
                    )
    except OSError as error:
        raise InvalidRequest(
            f"The folder {path.name} cannot be listed: {error.strerror or error}.", code=UNREADABLE
        ) from None
    return tuple(sorted(entries, key=_place))


def _still_there(item: os.DirEntry[str]) -> tuple[FileEntry, ...]:
    try:
        return (_entry(item.name, item.stat(follow_symlinks=False)),)
    except FileNotFoundError:  # it went away meanwhile
        return ()


def _entry(name: str, state: os.stat_result) -> FileEntry:
    return FileEntry(
        name=name.encode("utf-8", "replace").decode(),
        is_folder=stat.S_ISDIR(state.st_mode),
        size_bytes=state.st_size,
        modified_at_ms=state.st_mtime_ns // 1_000_000,
    )


def _place(entry: FileEntry) -> tuple[int, str]:
    """By the first number in the name, then by name; names without a number come last."""
    number = _FIRST_NUMBER.search(entry.name)
    return (int(number[0]) if number else 2**63, entry.name)
