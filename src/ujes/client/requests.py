"""Every call of the wire as a value: the request to send, and how to read what comes back. No I/O.

A `Call` is made here and performed by one of the two shells, `Client` and `AsyncClient`. Only what Linkis
1.x offers is used, in the form its own SDKs use it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar
from urllib.parse import quote, urlsplit

from ujes.client import answers
from ujes.client.errors import ClientError

if TYPE_CHECKING:
    from ujes.client.values import Job, JobList, JobSpec, LogPart, Page, Progress, Submitted

T = TypeVar("T")

PREFIX = "/api/rest_j/v1"
PAGE_ROWS = 5000
LOG_LINES = 5000
#: Servers from 1.5 on answer missing cells as JSON null when asked like this.
NULL = "LINKIS_NULL"

POLL_FIRST_S = 0.05
POLL_LAST_S = 1.0
POLL_GROWTH = 1.3


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    method: Literal["GET", "POST"]
    #: below the server's address
    path: str
    query: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Call(Generic[T]):
    request: Request
    #: makes the answer's value of its `data`
    read: Callable[[Mapping[str, Any]], T]


def server_url(url: str) -> str:
    """A server's address without the path that addresses for other clients end in."""
    text = url.strip() if "://" in url else f"http://{url.strip()}"
    try:
        parts = urlsplit(text)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or not text.isascii():
        raise ClientError(f"{url!r} is no address of a server; write http://host:port.")
    text = text.rstrip("/")
    for suffix in ("/v1", "/rest_j", "/rest_s", "/api"):
        text = text.removesuffix(suffix)
    return text


def poll_delays_s(last_s: float = POLL_LAST_S) -> Iterator[float]:
    """How long to wait between two looks at a running job: ever longer, to a bound."""
    delay_s = POLL_FIRST_S
    while True:
        yield delay_s
        delay_s = min(delay_s * POLL_GROWTH, last_s)


# --- logging in ---------------------------------------------------------------------------------


def login(user: str, password: str) -> Call[None]:
    body = {"userName": user, "password": password}
    return Call(request=_post("/user/login", body), read=answers.nothing)


def logout() -> Call[None]:
    return Call(request=_get("/user/logout"), read=answers.nothing)


def token_headers(user: str, token: str) -> dict[str, str]:
    return {"Token-User": user, "Token-Code": token}


# --- jobs ---------------------------------------------------------------------------------------


def submit(spec: JobSpec, user: str) -> Call[Submitted]:
    run_as = spec.run_as or user
    body = {
        "executionContent": {"code": spec.code, "runType": spec.run_type},
        "executeUser": run_as,
        "params": _params(spec),
        "source": dict(spec.source),
        "labels": {
            "engineType": spec.engine,
            "userCreator": f"{run_as}-{spec.creator}",
            "codeType": spec.run_type,
            **spec.labels,
        },
    }
    return Call(request=_post("/entrance/submit", body), read=answers.submitted)


def execute(spec: JobSpec) -> Call[Submitted]:
    """The older form of submit; runs as the user who asks."""
    body = {
        "executeApplicationName": spec.engine.partition("-")[0],
        "requestApplicationName": spec.creator,
        "executionCode": spec.code,
        "runType": spec.run_type,
        "params": _params(spec),
        "source": dict(spec.source),
        **({"labels": {"engineType": spec.engine, **spec.labels}} if spec.labels else {}),
    }
    return Call(request=_post("/entrance/execute", body), read=answers.submitted)


def _params(spec: JobSpec) -> dict[str, Any]:
    configuration = {"special": {}, "runtime": dict(spec.runtime), "startup": dict(spec.startup)}
    return {"variable": dict(spec.variables), "configuration": configuration}


def job(job_id: int) -> Call[Job]:
    return Call(request=_get(f"/jobhistory/{job_id}/get"), read=answers.job)


def jobs(*, states: tuple[str, ...] = (), page: int = 1, page_size: int = 20) -> Call[JobList]:
    query = {"pageNow": str(page), "pageSize": str(page_size)}
    if states:
        query["status"] = ",".join(states)
    return Call(request=_get("/jobhistory/list", query), read=answers.job_list)


def status(exec_id: str) -> Call[str]:
    return Call(request=_get(f"/entrance/{_segment(exec_id)}/status"), read=answers.state)


def progress(exec_id: str) -> Call[Progress]:
    return Call(request=_get(f"/entrance/{_segment(exec_id)}/progress"), read=answers.progress)


def log(exec_id: str, from_line: int = 1) -> Call[LogPart]:
    """Log lines from number `from_line` on; the first line is 1."""
    query = {"fromLine": str(from_line), "size": str(LOG_LINES)}
    request = _get(f"/entrance/{_segment(exec_id)}/log", query)
    return Call(request=request, read=lambda data: answers.log_part(data, from_line))


def open_log(path: str, from_line: int = 1) -> Call[LogPart]:
    """The same from the log's file, as servers want it once a job has ended."""
    request = _get("/filesystem/openLog", {"path": path})
    return Call(request=request, read=lambda data: answers.whole_log(data, from_line))


def kill(exec_id: str, job_id: int | None = None) -> Call[None]:
    query = {} if job_id is None else {"taskID": str(job_id)}
    return Call(request=_get(f"/entrance/{_segment(exec_id)}/kill", query), read=answers.nothing)


# --- results ------------------------------------------------------------------------------------


def result_files(location: str) -> Call[tuple[str, ...]]:
    """Paths of the result sets in a job's result folder, in order."""
    request = _get("/filesystem/getDirFileTrees", {"path": location})
    return Call(request=request, read=answers.result_files)


def open_page(path: str, page: int, page_rows: int = PAGE_ROWS) -> Call[Page]:
    """The `page`-th rows of a result set, from 1; a page past the end has none."""
    query = {
        "path": path,
        "charset": "utf-8",
        "page": str(page),
        "pageSize": str(page_rows),
        "nullValue": NULL,
    }
    return Call(request=_get("/filesystem/openFile", query), read=lambda data: answers.page(data, page))


# --- building -----------------------------------------------------------------------------------


def _get(path: str, query: Mapping[str, str] | None = None) -> Request:
    return Request(method="GET", path=PREFIX + path, query=query or {})


def _post(path: str, body: Mapping[str, Any]) -> Request:
    return Request(method="POST", path=PREFIX + path, body=body)


def _segment(exec_id: str) -> str:
    """Colons stay: servers compare the id as it is written."""
    return quote(exec_id, safe=":")
