"""Numbers that only rise, counted from what the gateway observes; the metrics show them."""

from __future__ import annotations

from collections import Counter, defaultdict

from ujes.core.instance import InstanceStatus
from ujes.core.job import Job, JobState
from ujes.gateway.observe import Fault, InstanceChanged, JobAccepted, JobChanged, Observation


class Tally:
    """A listener. Everything since this gateway started."""

    def __init__(self) -> None:
        #: jobs over, by engine and end
        self.ended: Counter[tuple[str, JobState]] = Counter()
        #: seconds jobs were in line, and seconds they ran, by engine
        self.waited_s: defaultdict[str, float] = defaultdict(float)
        self.ran_s: defaultdict[str, float] = defaultdict(float)
        #: instances over, by engine and how
        self.instances_over: Counter[tuple[str, InstanceStatus]] = Counter()
        self.faults = 0

    def __call__(self, observation: Observation) -> None:
        match observation:
            case JobAccepted(job=job) | JobChanged(after=job) if job.state.is_final:
                self._over(job)
            case InstanceChanged(after=instance) if instance.status.is_final:
                self.instances_over[instance.queue.engine, instance.status] += 1
            case Fault():
                self.faults += 1

    def _over(self, job: Job) -> None:
        engine = job.request.engine
        ended_ms = job.ended_at_ms or job.updated_at_ms
        began_ms = job.running_at_ms or ended_ms
        self.ended[engine, job.state] += 1
        self.waited_s[engine] += (began_ms - job.created_at_ms) / 1000
        self.ran_s[engine] += (ended_ms - began_ms) / 1000
