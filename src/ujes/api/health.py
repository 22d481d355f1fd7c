"""For whoever watches the process: alive, ready, and its numbers. No login is asked."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ujes import __version__
from ujes.core.errors import UjesError
from ujes.core.instance import InstanceStatus
from ujes.core.job import JobState

if TYPE_CHECKING:
    from starlette.requests import Request

    from ujes.gateway.gateway import Gateway

#: A store that does not answer by then is not ready.
STORE_TIMEOUT_S = 5.0


def routes(gateway: Gateway) -> list[Route]:
    health = HealthEndpoints(gateway)
    return [
        Route("/healthz", health.alive, methods=["GET"]),
        Route("/readyz", health.ready, methods=["GET"]),
        Route("/metrics", health.metrics, methods=["GET"]),
    ]


class HealthEndpoints:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def alive(self, _request: Request) -> Response:
        """The event loop turns."""
        return JSONResponse({"status": "ok"})

    async def ready(self, _request: Request) -> Response:
        """The store answers, so jobs can be accepted."""
        try:
            async with asyncio.timeout(STORE_TIMEOUT_S):
                await self._gateway.store.live_instances()
        except (TimeoutError, OSError, UjesError):
            return JSONResponse({"status": "unavailable", "reason": "The store does not answer."}, 503)
        return JSONResponse({"status": "ok"})

    async def metrics(self, _request: Request) -> Response:
        """Counted at the time of asking."""
        from prometheus_client import CONTENT_TYPE_LATEST  # noqa: PLC0415 - rarely used

        jobs = Counter(job.state for job in self._gateway.board.jobs())
        instances = Counter(instance.status for instance in self._gateway.fleet.live())
        return Response(
            _exposition(jobs, instances), media_type=None, headers={"content-type": CONTENT_TYPE_LATEST}
        )


def _exposition(jobs: Counter[JobState], instances: Counter[InstanceStatus]) -> bytes:
    from prometheus_client import (  # noqa: PLC0415 - rarely used
        CollectorRegistry,
        Gauge,
        Info,
        ProcessCollector,
        generate_latest,
    )

    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    Info("ujes", "What this gateway is.", registry=registry).info({"version": __version__})
    by_state = Gauge("ujes_jobs", "Unfinished jobs, by state.", ["state"], registry=registry)
    for state in JobState:
        if not state.is_final:
            by_state.labels(state.value).set(jobs[state])
    by_status = Gauge("ujes_engine_instances", "Engine instances, by status.", ["status"], registry=registry)
    for status in InstanceStatus:
        if not status.is_final:
            by_status.labels(status.value).set(instances[status])
    return generate_latest(registry)
