"""Jobs as records: one by its number, and lists. The rules of the filters are `jobhistory.md`, section 3."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from ujes.api.linkis import url
from ujes.api.linkis.caller import identify
from ujes.api.linkis.envelope import Reply, success
from ujes.api.linkis.lookup import find_job
from ujes.api.linkis.task import TaskPlaces, brief_task_of, task_of
from ujes.core.errors import InvalidRequest, NotFound
from ujes.core.job import JobState
from ujes.gateway.jobs.places import log_path, result_dir
from ujes.gateway.store.records import JobQuery

if TYPE_CHECKING:
    from starlette.requests import Request

    from ujes.core.job import Job
    from ujes.gateway.auth.identity import Identity
    from ujes.gateway.gateway import Gateway

PAGE_SIZE_DEFAULT = 20
PAGE_SIZE_MAX = 5000
#: No list is longer; a page beyond is empty.
_OFFSET_MAX = 2**53
_DAY_MS = 86_400_000

_NAME = re.compile(r"[a-zA-Z\-\d_.]+", re.ASCII)
_INSTANCE = re.compile(r"[a-zA-Z\-\d_.:]+", re.ASCII)

_NOT_FOUND = (
    "The corresponding job was not found, or there may be no permission to view the job"
    "(没有找到对应的job，也可能是没有查看该job的权限)"
)


def routes(gateway: Gateway) -> list[Route]:
    history = JobHistoryEndpoints(gateway)
    return [
        Route("/jobhistory/list", history.list, methods=["GET"]),
        Route("/jobhistory/{id}/get", history.get, methods=["GET"]),
    ]


class JobHistoryEndpoints:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def get(self, request: Request) -> Reply:
        identity = await identify(self._gateway, request.scope)
        try:
            job = await find_job(self._gateway, identity, request.path_params["id"])
        except (NotFound, InvalidRequest):
            raise NotFound(_NOT_FOUND) from None
        is_brief = url.is_true(url.query(request.scope["query_string"]), "brief")
        return success(request.scope, {"task": self._task(job, is_brief=is_brief)})

    async def list(self, request: Request) -> Reply:
        """Own jobs, newest first; administrators may ask for everybody's."""
        identity = await identify(self._gateway, request.scope)
        params = url.query(request.scope["query_string"])
        query = job_query(params, identity, self._gateway.clock.now_ms())
        instance = params.get("instance", "").strip().lower()
        if instance and instance != self._gateway.address.lower():
            return success(request.scope, {"tasks": [], "totalPage": 0})
        page = await self._gateway.history.page(query)
        tasks = [self._task(self._gateway.entrance.live(job.id) or job) for job in page.jobs]
        # In spite of its name clients read it as the number of rows.
        return success(request.scope, {"tasks": tasks, "totalPage": page.total})

    def _task(self, job: Job, *, is_brief: bool = False) -> dict[str, Any]:
        settings = self._gateway.settings
        places = TaskPlaces(
            address=self._gateway.address, log=log_path(settings, job), results=result_dir(settings, job)
        )
        make = brief_task_of if is_brief else task_of
        return make(job, places, self._gateway.clock.now_ms())


def job_query(params: dict[str, str], identity: Identity, now_ms: int) -> JobQuery:
    """The filters of `list`; a blank one is none. Raises `InvalidRequest`."""
    page, size = url.number(params, "pageNow", 1), url.number(params, "pageSize", PAGE_SIZE_DEFAULT)
    if page < 1 or size < 1:
        raise InvalidRequest("`pageNow` and `pageSize` must be 1 or more.", code=0)
    size = min(size, PAGE_SIZE_MAX)
    task_id = url.number(params, "taskID", 0)
    from_ms, to_ms = _dates(params, now_ms)
    _text(params, "instance", "instances", _INSTANCE)
    return JobQuery(
        submitter=_submitter(params, identity),
        states=_states(params),
        ids=(task_id,) if task_id else (),
        engine=_text(params, "executeApplicationName", "applicationName"),
        creator=_text(params, "creator", "creator"),
        run_type=_text(params, "runType", "runType"),
        instance=_text(params, "engineInstance", "instances", _INSTANCE),
        created_from_ms=from_ms,
        created_to_ms=to_ms,
        offset=min((page - 1) * size, _OFFSET_MAX),
        limit=size,
    )


def _submitter(params: Mapping[str, str], identity: Identity) -> str | None:
    is_admin_view = params.get("isAdminView", "").strip().lower() == "true" and identity.is_admin
    return (params.get("proxyUser", "").strip() or None) if is_admin_view else identity.user


def _dates(params: dict[str, str], now_ms: int) -> tuple[int, int]:
    """Both ends count; the same day twice means that whole day."""
    from_ms, to_ms = url.number(params, "startDate", 0), url.number(params, "endDate", now_ms)
    return from_ms, to_ms + _DAY_MS if from_ms == to_ms else to_ms


def _states(params: Mapping[str, str]) -> frozenset[JobState]:
    words = {word.strip() for word in params.get("status", "").split(",")} - {""}
    known = {state.value for state in JobState}
    if not words <= known:
        raise InvalidRequest(f"Invalid status : use {', '.join(state.value for state in JobState)}.", code=0)
    return frozenset(JobState(word) for word in words)


def _text(params: Mapping[str, str], name: str, shown: str, allowed: re.Pattern[str] = _NAME) -> str | None:
    text = params.get(name, "").strip()
    if text and not allowed.fullmatch(text):
        raise InvalidRequest(f"Invalid {shown} : {text[:100]}", code=0)
    return text or None
