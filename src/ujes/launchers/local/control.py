"""What a gateway and its warm parent say to each other, over a socket pair, in frames of the link."""

from __future__ import annotations

import msgspec

from ujes.enginehost.order import HostOrder
from ujes.launchers.accounts import Account
from ujes.link.messages import Frame


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one engine process, 0 for none."""

    memory_bytes: int = 0
    cpu_s: int = 0
    open_files: int = 0
    processes: int = 0


class Fork(Frame, frozen=True, kw_only=True, tag="fork"):
    """Gateway: start this host."""

    order: HostOrder
    env: dict[str, str]
    limits: Limits
    #: whom the host becomes; without one it stays what the warm parent is
    account: Account | None = None


class Ready(Frame, frozen=True, kw_only=True, tag="ready"):
    """Warm parent, once: everything is imported."""

    #: sentences about what was not
    left_out: list[str]


class Forked(Frame, frozen=True, kw_only=True, tag="forked"):
    """Warm parent: the host runs. It leads the session and the process group of its own number."""

    tag: str
    pid: int
    #: when it began, as `ujes.enginehost.processes` tells
    created: float


class ForkFailed(Frame, frozen=True, kw_only=True, tag="fork_failed"):
    """Warm parent: the host could not be started, and why."""

    tag: str
    text: str


class Exited(Frame, frozen=True, kw_only=True, tag="exited"):
    """Warm parent: a host is gone."""

    tag: str
    pid: int
    #: the exit status, or minus the number of the signal that ended it
    code: int


FromParent = Ready | Forked | ForkFailed | Exited
