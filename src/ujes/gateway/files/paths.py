"""Which paths there are, and which a caller may read. Decides; the only I/O is following symbolic links.

A path is text of a client: `file:///folder/name`, or the same without the schema. It is readable when the
*real* path, with every link followed, lies in

- the caller's own folder,
- the result folder of a job the caller may see,
- or is the log of such a job.

Which job a folder belongs to is read off the path and checked against the job's record, so a folder that only
looks like a job's is nobody's. Everything else, existing or not, is refused with the same words.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ujes.core.errors import InvalidRequest, NotPermitted

PATH_EMPTY = 80004
PATH_CHARS_MAX = 4096
NAME_BYTES_MAX = 255

_SCHEMA = "file:"
#: results/<day>/<creator>/<run-as>/<id>, logs/<day>/<creator>/<run-as>/<id>.log
_JOB_DEPTH = 4
_ID_DIGITS_MAX = 18


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A path that may be read."""

    kind: Literal["own", "result", "log"]
    #: as the client wrote it, tidied up; to show again
    asked: Path
    #: with every link followed; to open
    real: Path
    #: the result folder of a job itself
    is_job_folder: bool = False


def parse(text: str) -> Path:
    """The absolute path a client means. Raises `InvalidRequest` or `NotPermitted`."""
    text = text.strip()
    if not text:
        raise InvalidRequest("The parameter `path` is missing or empty.", code=PATH_EMPTY)
    if len(text) > PATH_CHARS_MAX or "\0" in text:
        raise NotPermitted(f"A path has up to {PATH_CHARS_MAX} characters and no NUL among them.")
    names = [name for name in _without_schema(text).split("/") if name not in ("", ".")]
    if ".." in names:
        raise NotPermitted("A path must not climb up with `..`.")
    if any(len(name.encode("utf-8", "surrogatepass")) > NAME_BYTES_MAX for name in names):
        raise NotPermitted(f"A name in a path has up to {NAME_BYTES_MAX} bytes.")
    return Path("/", *names)


def _without_schema(text: str) -> str:
    if text.lower().startswith(_SCHEMA):
        text = text[len(_SCHEMA) :]
        if text.startswith("//"):
            host, slash, rest = text[2:].partition("/")
            if host not in ("", "localhost") or not slash:
                raise NotPermitted("A `file:` path names no other machine: write file:///folder/name.")
            text = slash + rest
    if not text.startswith("/"):
        raise NotPermitted("Only absolute paths of this server can be read: write file:///folder/name.")
    return text


def real_path(path: Path) -> Path:
    """The path with every symbolic link followed, as far as it exists."""
    return Path(os.path.realpath(path))


def is_within(path: Path, root: Path) -> bool:
    return path == root or root in path.parents


def result_job_id(path: Path, results_root: Path) -> int | None:
    """Whose result folder a path is, or lies in."""
    if not is_within(path, results_root):
        return None
    parts = path.relative_to(results_root).parts
    return _job_id(parts[_JOB_DEPTH - 1]) if len(parts) >= _JOB_DEPTH else None


def log_job_id(path: Path, logs_root: Path) -> int | None:
    """Whose log a path is."""
    if not is_within(path, logs_root):
        return None
    parts = path.relative_to(logs_root).parts
    is_log = len(parts) == _JOB_DEPTH and parts[-1].endswith(".log")
    return _job_id(parts[-1].removesuffix(".log")) if is_log else None


def _job_id(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _ID_DIGITS_MAX else None
