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
    from prometheus_client import CollectorRegistry
    from starlette.requests import Request

    from ujes.gateway.gateway import Gateway
    from ujes.gateway.tally import Tally

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

        text = _exposition(self._gateway)
        return Response(text, media_type=None, headers={"content-type": CONTENT_TYPE_LATEST})


def _exposition(gateway: Gateway) -> bytes:
    from prometheus_client import (  # noqa: PLC0415 - rarely used
        CollectorRegistry,
        Info,
        ProcessCollector,
        generate_latest,
    )

    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    Info("ujes", "What this gateway is.", registry=registry).info({"version": __version__})
    _show_present(gateway, registry)
    _show_tally(gateway.tally, registry)
    return generate_latest(registry)


def _show_present(gateway: Gateway, registry: CollectorRegistry) -> None:
    from prometheus_client import Gauge  # noqa: PLC0415 - rarely used

    jobs = Counter(job.state for job in gateway.board.jobs())
    instances = Counter(instance.status for instance in gateway.fleet.live())
    by_state = Gauge("ujes_jobs", "Unfinished jobs, by state.", ["state"], registry=registry)
    for state in JobState:
        if not state.is_final:
            by_state.labels(state.value).set(jobs[state])
    by_status = Gauge("ujes_engine_instances", "Engine instances, by status.", ["status"], registry=registry)
    for status in InstanceStatus:
        if not status.is_final:
            by_status.labels(status.value).set(instances[status])


def _show_tally(tally: Tally, registry: CollectorRegistry) -> None:
    from prometheus_client import Counter as Rising  # noqa: PLC0415 - rarely used

    ended = Rising("ujes_jobs_ended", "Jobs over, by engine and end.", ["engine", "state"], registry=registry)
    for (engine, state), count in tally.ended.items():
        ended.labels(engine, state.value).inc(count)
    waited = Rising("ujes_jobs_waited_seconds", "Time in line, by engine.", ["engine"], registry=registry)
    for engine, seconds in tally.waited_s.items():
        waited.labels(engine).inc(seconds)
    ran = Rising("ujes_jobs_ran_seconds", "Running time, by engine.", ["engine"], registry=registry)
    for engine, seconds in tally.ran_s.items():
        ran.labels(engine).inc(seconds)
    names = ["engine", "status"]
    over = Rising("ujes_instances_over", "Instances over, by engine and how.", names, registry=registry)
    for (engine, status), count in tally.instances_over.items():
        over.labels(engine, status.value).inc(count)
    Rising("ujes_faults", "Faults told to the server's log.", registry=registry).inc(tally.faults)
