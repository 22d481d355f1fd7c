"""The parts of a running gateway, as the wires see them. `ujes.app` puts it together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ujes.engines.registry import EngineRegistry
    from ujes.gateway.auth.auth import Auth
    from ujes.gateway.clock import Clock
    from ujes.gateway.files.files import Files
    from ujes.gateway.instances.fleet import Fleet
    from ujes.gateway.jobs.board import Board
    from ujes.gateway.jobs.entrance import Entrance
    from ujes.gateway.jobs.history import History
    from ujes.gateway.jobs.hub import Hub
    from ujes.gateway.jobs.logs import Logs
    from ujes.gateway.store.store import Store
    from ujes.gateway.tally import Tally
    from ujes.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """Everything a wire may call."""

    settings: Settings
    clock: Clock
    store: Store
    entrance: Entrance
    history: History
    logs: Logs
    hub: Hub
    auth: Auth
    files: Files
    registry: EngineRegistry
    board: Board
    fleet: Fleet
    tally: Tally
    #: `host:port` clients reach this gateway at; part of every execID
    address: str
