"""The server's own log: one rich line per unit of work, on standard error.

structlog is imported by the first line, not by the start: with rich it takes half as long to import as all
of pyarrow, and a start has nothing to say.
"""

from __future__ import annotations

import functools
import logging
import sys
from typing import TYPE_CHECKING

from ujes.core.job import Job, JobState
from ujes.gateway.observe import Fault, InstanceChanged, JobAccepted, JobChanged, Listener, Observation

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


class _Format:
    """How `serve` wants its lines; untouched where another program holds the gateway."""

    is_json: bool | None = None


def configure(*, is_json: bool = False) -> None:
    """Lines for people, or JSON for machines. Before the first line."""
    _Format.is_json = is_json


@functools.cache
def logger() -> FilteringBoundLogger:
    import structlog  # noqa: PLC0415

    if _Format.is_json is not None:
        _configure(is_json=_Format.is_json)
    log: FilteringBoundLogger = structlog.get_logger("ujes")
    return log


def _configure(*, is_json: bool) -> None:
    import structlog  # noqa: PLC0415

    render: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if is_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def listener() -> Listener:
    """A listener that writes what an operator wants to read."""

    def on(observation: Observation) -> None:
        match observation:
            case JobChanged(after=job) if job.state.is_final:
                _job_ended(job)
            case JobAccepted(job=job) if job.state.is_final:
                _job_ended(job)
            case InstanceChanged(before=before, after=after) if before.status is not after.status:
                logger().info("engine", tag=after.tag, status=after.status.value, reason=after.reason)
            case Fault():
                logger().warning("fault", what=observation.text, exc_info=observation.error)

    return on


def _job_ended(job: Job) -> None:
    ended_ms = job.ended_at_ms or job.updated_at_ms
    logger().info(
        "job",
        id=job.id,
        state=job.state.value,
        user=job.request.run_as,
        creator=job.request.creator,
        engine=job.request.engine,
        instance=job.instance,
        waited_ms=(job.running_at_ms or ended_ms) - job.created_at_ms,
        ran_ms=ended_ms - job.running_at_ms if job.running_at_ms is not None else 0,
        code=job.error_code if job.state is JobState.FAILED else None,
    )
