"""The names a job has in URLs: two spellings of an execID, and the bare task id.

    1.x   exec_id018014linkis-cg-entrance127.0.0.1:9001IDE_hadoop_duckdb_93
          exec_id, 3 digits length of the service, 3 digits length of the instance, both, then
          creator_user_engine_index
    0.x   030614IDEduckdb127.0.0.1:9001IDE_hadoop_93
          2 digits each: length of creator, engine and instance, the three, then creator_user_index
    bare  93

The index is the task id, so a name is unique for ever, survives a restart and leads to its job without
a table. The other parts must fit the job (`names`), else the name is as good as unknown: a name made by
another server does not hit a job of ours by accident. The instance is not compared, clients keep names
across a change of address. See `entrance.md`, section 2.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ujes.core.errors import InvalidRequest

if TYPE_CHECKING:
    from ujes.core.job import Job, QueueKey

_PREFIX = "exec_id"
#: What an id without an underscore in its last part is refused with, as the reference does.
_NO_GROUP_CODE = 12011
#: Larger numbers than this are no task id of any store.
_DIGITS_MAX = 18
_LENGTH_MAX_MODERN = 999
_LENGTH_MAX_LEGACY = 99
#: `exec_id`, then two lengths of three digits; the 0.x form begins with three of two digits.
_MODERN_HEAD = re.compile(_PREFIX + r"([0-9]{3})([0-9]{3})")
_LEGACY_HEAD = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2})")
_LEGACY_LENGTHS = 6
_UNSAFE = re.compile(r"[^A-Za-z0-9.:_-]")
_SHOWN_CHARS = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class ExecId:
    """A name as a client sent it, taken apart."""

    form: Literal["modern", "legacy", "bare"]
    task_id: int
    #: everything of the name but lengths and instance, to compare with the job's
    words: tuple[str, ...] = ()

    def names(self, job: Job) -> bool:
        """Whether the name fits the job its index leads to."""
        if self.form == "bare":
            return self.task_id == job.id
        key = job.queue
        if self.form == "modern":
            return self.words == (short_id(key, job.id),)
        return self.words == (key.creator, key.engine, _legacy_short_id(key, job.id))


def short_id(key: QueueKey, task_id: int) -> str:
    return f"{key.creator}_{key.run_as}_{key.engine}_{task_id}"


def modern(key: QueueKey, task_id: int, *, service: str, address: str) -> str:
    """The name `submit` answers with, and `strongerExecId` of a task."""
    address = _safe(address)[:_LENGTH_MAX_MODERN]
    return f"{_PREFIX}{len(service):03}{len(address):03}{service}{address}{short_id(key, task_id)}"


def legacy(key: QueueKey, task_id: int, *, address: str) -> str:
    """The name `execute` answers with. A creator or engine too long for two digits gets none."""
    if len(key.creator) > _LENGTH_MAX_LEGACY or len(key.engine) > _LENGTH_MAX_LEGACY:
        raise InvalidRequest(f"Creator and engine type may have {_LENGTH_MAX_LEGACY} characters at most.")
    address = _safe(address)[:_LENGTH_MAX_LEGACY]
    lengths = f"{len(key.creator):02}{len(key.engine):02}{len(address):02}"
    return f"{lengths}{key.creator}{key.engine}{address}{_legacy_short_id(key, task_id)}"


@functools.lru_cache(maxsize=4096)
def parse(text: str) -> ExecId:
    """Take a name apart. Raises `InvalidRequest` for what is no name at all.

    Clients poll the same few names, so the last ones are remembered.
    """
    if _is_number(text):
        return ExecId(form="bare", task_id=_number(text, text))
    if head := _MODERN_HEAD.match(text):
        service_chars, address_chars = map(int, head.groups())
        short = text[head.end() + service_chars + address_chars :]
        return ExecId(form="modern", task_id=_index(short, text), words=(short,))
    if head := _LEGACY_HEAD.match(text):
        return _parse_legacy(text, *map(int, head.groups()))
    raise _malformed(text)


def _safe(address: str) -> str:
    """Clients put a name into URLs, and into patterns, as it is: the brackets of IPv6 must not be in it."""
    return _UNSAFE.sub("-", address)


def _legacy_short_id(key: QueueKey, task_id: int) -> str:
    return f"{key.creator}_{key.run_as}_{task_id}"


def _parse_legacy(text: str, creator_chars: int, engine_chars: int, address_chars: int) -> ExecId:
    names_at = _LEGACY_LENGTHS
    engine_at = names_at + creator_chars
    address_at = engine_at + engine_chars
    short = text[address_at + address_chars :]
    words = (text[names_at:engine_at], text[engine_at:address_at], short)
    return ExecId(form="legacy", task_id=_index(short, text), words=words)


def _index(short: str, text: str) -> int:
    group, underscore, index = short.rpartition("_")
    if short and not underscore:
        raise InvalidRequest(
            f"{shown(text)} is not an execID: its last part has no underscore.", code=_NO_GROUP_CODE
        )
    if not group or not _is_number(index):
        raise _malformed(text)
    return _number(index, text)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _number(digits: str, text: str) -> int:
    if len(digits) > _DIGITS_MAX:
        raise _malformed(text)
    return int(digits)


def _malformed(text: str) -> InvalidRequest:
    sentence = f"{shown(text)} is not an execID. Use the execID or the taskID that submit answered with."
    return InvalidRequest(sentence, code=0)


def shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "...")
