"""Who may do what with a job. Another user's job is as good as unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ujes.core.job import Job
    from ujes.gateway.auth.identity import Identity


def is_owner(identity: Identity, job: Job) -> bool:
    return identity.user in (job.request.submitter, job.request.run_as)


def may_see(identity: Identity, job: Job) -> bool:
    """Status, log, progress, results."""
    return identity.is_admin or is_owner(identity, job)


def may_kill(identity: Identity, job: Job) -> bool:
    return identity.is_admin or is_owner(identity, job)
