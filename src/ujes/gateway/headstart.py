"""What `ujes serve` begins before it imports the gateway, to use the time that takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ujes.gateway.auth.firstadmin import FirstAdmin
    from ujes.launchers.local.spawn import Spawned


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadStart:
    #: a warm parent of our own Python
    warm_parent: Spawned | None = None
    #: for a home that is likely new
    first_admin: FirstAdmin | None = None
