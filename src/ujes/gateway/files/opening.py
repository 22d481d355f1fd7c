"""Opens what lies at a real path, and nothing else: folders of users may change any time.

Between the check of a path and its use, a folder on the way or the file itself may have become a symbolic
link, so every step is taken from the folder before it and follows none. Where engines run as their users'
accounts, the gateway has more rights than they, and a second name (hard link) for somebody else's file leads
nowhere either: a file counts only when the owner of its folder owns it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

#: Opens a folder to go on from, without the right to list it, where the system has that.
_STEP = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: Does not wait for the other end of a pipe somebody put there.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, kw_only=True, slots=True)
class Opener:
    #: whether a file must belong to the owner of its folder
    same_owner: bool

    def open_file(self, path: Path) -> int:
        """A descriptor of a regular file. Raises OSError."""
        with folder_above(path) as folder:
            file = os.open(path.name, _READ, dir_fd=folder)
            try:
                self._check(path, os.fstat(file), os.fstat(folder))
            except BaseException:
                os.close(file)
                raise
            return file

    def _check(self, path: Path, file: os.stat_result, folder: os.stat_result) -> None:
        if not stat.S_ISREG(file.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        if self.same_owner and file.st_uid != folder.st_uid:
            raise OSError(errno.EPERM, "it belongs to another account than its folder", str(path))


@contextmanager
def folder_above(path: Path) -> Iterator[int]:
    """The folder a path lies in, to look and open from. Raises OSError."""
    descriptor = os.open("/", _STEP)
    try:
        for step in path.parts[1:-1]:
            inner = os.open(step, _STEP, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def folder_to_list(path: Path) -> Iterator[int]:
    """The folder at a path. Raises OSError."""
    with folder_above(path) as above:
        descriptor = os.open(path.name or ".", _LIST, dir_fd=above)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
