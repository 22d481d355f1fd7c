"""The frames of the push channel: what a page sends, and what it is sent. Pure.

A page decides by two rules whether a frame is its own: the answer to what it sent has the same `method` and
`websocketTag`; everything after it has the job's `taskID` and the method `<prefix><execID>/<kind>`, where the
prefix is the method it sent up to the last slash. So a job keeps the name it was given on the socket
(`JobName`), whichever spelling of the address the page uses. See `websocket.md`, sections 3 and 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ujes.api.linkis.body import Payload, as_object, decode
from ujes.api.linkis.envelope import ERROR, ROOT, SUCCESS, encode, error_envelope
from ujes.api.linkis.loglines import by_level
from ujes.api.linkis.url import canonical
from ujes.core.errors import InvalidRequest, UjesError

if TYPE_CHECKING:
    from ujes.core.job import Job

ENTRANCE = ROOT + "entrance/"
#: A longer text is refused.
FRAME_BYTES_MAX = 1_024_000
#: A push stops taking in log lines here; most clients read frames of a megabyte, and a line is in it twice.
LOG_CHARS_MAX = 64 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """What a page sent."""

    #: as it was sent; every answer repeats it byte by byte
    method: str
    data: Payload
    #: the page's own mark, given back as it is
    tag: Any

    def place(self) -> tuple[str, str]:
        """The job's name and the verb; the name is empty for verbs that start a job. Raises `UjesError`."""
        path = canonical(self.method)
        if not path.startswith(ENTRANCE):
            raise InvalidRequest(f"No service listens for {shown(self.method)} on this socket.", code=0)
        name, _, verb = path[len(ENTRANCE) :].rpartition("/")
        return name, verb

    @property
    def prefix(self) -> str:
        """The method up to the place where a job's name stands."""
        name, _ = self.place()
        before = self.method.rstrip("/").rpartition("/")[0]
        return before.removesuffix(name) if name else before + "/"


@dataclass(frozen=True, kw_only=True, slots=True)
class JobName:
    """How a page knows a job."""

    exec_id: str
    prefix: str = ENTRANCE
    tag: Any = None

    def push(self, kind: str, job: Job, data: Mapping[str, Any]) -> bytes:
        names = {"execID": self.exec_id, "taskID": job.id, "websocketTag": self.tag}
        return encode(f"{self.prefix}{self.exec_id}/{kind}", {**data, **names})

    def status(self, job: Job) -> bytes:
        return self.push("status", job, {"status": job.state.value})

    def log(self, job: Job, lines: Sequence[str]) -> bytes | None:
        """None when there is nothing in the lines to show."""
        texts = with_ends(by_level(lines))
        return self.push("log", job, {"log": texts}) if any(texts) else None


def parse(text: str, depth_max: int) -> Frame | None:
    """A frame; None for one that asks for nothing. Raises `InvalidRequest` with a sentence."""
    payload = decode(text.encode("utf-8", "surrogatepass"), depth_max)
    method = payload.get("method")
    if method is None or method == "":
        return None
    if not isinstance(method, str):
        raise InvalidRequest("`method` must be a text.", code=0)
    data = dict(as_object(payload.get("data"), "data"))
    tag = payload.get("websocketTag")
    return Frame(method=method, data=data, tag=data.get("websocketTag") if tag is None else tag)


def answer(frame: Frame, data: Mapping[str, Any], message: str = "OK") -> bytes:
    return encode(frame.method, {**data, "websocketTag": frame.tag}, message, SUCCESS)


def refused(frame: Frame, error: UjesError, address: str) -> bytes:
    """A refusal of what a frame asked for. Pages look for `errorMsg` in the one to a run."""
    envelope = error_envelope(frame.method, error, address)
    data = {"errorMsg": {"errCode": error.error_code, "desc": error.message}, **envelope["data"]}
    return encode(frame.method, {**data, "websocketTag": frame.tag}, envelope["message"], envelope["status"])


def not_understood(path: str, error: UjesError) -> bytes:
    """A refusal of something that is no frame."""
    return encode(path, {"stack": error.message}, error.message, ERROR)


def with_ends(texts: Sequence[str]) -> list[str]:
    """Pages append what they are sent, so a text ends with its line."""
    return [f"{text}\n" if text else "" for text in texts]


def within(lines: Sequence[str], chars_max: int = LOG_CHARS_MAX) -> Sequence[str]:
    """As many lines as fit into one push, and at least one."""
    chars = 0
    for count, line in enumerate(lines):
        chars += len(line)
        if chars > chars_max and count:
            return lines[:count]
    return lines


def shown(text: str) -> str:
    return repr(text if len(text) <= 200 else text[:200] + "...")  # noqa: PLR2004 - enough to recognise it
