"""What can go wrong for a client.

ClientError
├── NoAnswer        nothing that answers, or not as a gateway does
├── Refused         the server said no; the text is the server's
│   └── LoginEnded  it wants a (new) login, or does not take the token
└── JobFailed       the job ended as anything but Succeed
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ujes.client.values import Job


class ClientError(Exception):
    """The call did not work."""


class NoAnswer(ClientError):
    """No gateway answers."""


class Refused(ClientError):
    """The server refused the call."""


class LoginEnded(Refused):
    """The server wants a login."""


class JobFailed(ClientError):
    """The job did not succeed."""

    def __init__(self, job: Job) -> None:
        super().__init__(f"Job {job.id} ended as {job.state}: {job.error or 'no reason was given'}")
        self.job = job
