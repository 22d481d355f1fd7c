"""Sends run and interrupt messages, and knows which of them a host was told over its present link."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

from ujes.core.instance import EngineInstance
from ujes.core.job import Job
from ujes.core.owed import Said
from ujes.core.plan import Launch
from ujes.gateway.clock import Clock
from ujes.gateway.instances.fleet import Fleet
from ujes.gateway.instances.links import Links
from ujes.gateway.jobs.entrance import Entrance
from ujes.gateway.jobs.logs import Logs
from ujes.gateway.jobs.places import result_dir
from ujes.gateway.signals import reach
from ujes.link.messages import Interrupt, Run
from ujes.settings import Settings


class Runs:
    """The gateway's mouth towards engine hosts."""

    def __init__(
        self,
        *,
        settings: Settings,
        clock: Clock,
        fleet: Fleet,
        links: Links,
        logs: Logs,
        entrance: Entrance,
        node: str,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._fleet = fleet
        self._links = links
        self._logs = logs
        self._entrance = entrance
        self._node = node
        self._said: dict[int, Said] = {}
        #: called before a host is told to run a job
        self.prepare: Callable[[Job], None] = lambda _job: None

    def said(self, job_id: int) -> Said:
        return self._said.get(job_id, Said())

    def forget(self, job_id: int) -> None:
        self._said.pop(job_id, None)

    def relinked(self, tag: str) -> None:
        """A new link: whatever was said over the former may not have arrived."""
        instance = self._fleet.get(tag)
        if instance is not None and instance.job_id is not None:
            self.forget(instance.job_id)

    def placed(self, job: Job) -> None:
        """A job was just placed: tell its log where, and its host to run it."""
        instance = self._fleet.get(job.instance or "")
        if instance is None:
            return
        kind = "reused" if job.is_reuse else "new"
        self._entrance.note(job, f"Job {job.id} runs on engine {instance.tag} ({kind}).")
        if job.is_reuse and dict(instance.startup) != dict(job.request.startup):
            text = "The engine was started with other startup options than this job's; they stay as they are."
            self._entrance.note(job, text, "WARN")
        self.run(job)

    def run(self, job: Job) -> None:
        self.prepare(job)
        reach("run.before_send")
        if job.instance is None or not self._links.send(job.instance, self._message(job)):
            return
        self._said[job.id] = replace(self.said(job.id), run=True)
        reach("run.sent")

    def interrupt(self, job: Job) -> None:
        if job.instance is not None and self._links.send(job.instance, Interrupt(job=job.id)):
            self._said[job.id] = replace(self.said(job.id), interrupt=True)

    def _message(self, job: Job) -> Run:
        return Run(
            job=job.id,
            code=job.code_to_run,
            run_type=job.request.run_type.lower(),
            runtime=dict(job.request.runtime),
            result_dir=str(result_dir(self._settings, job)),
            first_line=self._logs.next_line(job),
            env={
                "UJES_JOB": str(job.id),
                "UJES_USER": job.request.run_as,
                "UJES_CREATOR": job.request.creator,
                "LINKIS_JOB_ID": str(job.id),
            },
        )

    def new_instance(self, launch: Launch, tag: str, token: str, job: Job | None) -> EngineInstance:
        """The record of an instance about to be started."""
        now_ms = self._clock.now_ms()
        return EngineInstance(
            tag=tag,
            queue=launch.queue,
            engine_version=job.request.engine_version if job else "",
            is_once=launch.is_once,
            startup=job.request.startup if job else {},
            token_hash=hashlib.sha256(token.encode()).hexdigest(),
            wanted_by=launch.job_id,
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
            node=self._node,
        )
