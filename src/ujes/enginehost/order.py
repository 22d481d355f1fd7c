"""What a host is told at its birth, and how it finds its engine."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from ujes.core.errors import InvalidRequest, UnknownEngine, UserMistake
from ujes.engines.engine import Engine, EngineError, Place
from ujes.engines.registry import BadOption, EngineRegistry, options_from


class HostOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Crosses from the launcher to the host in memory or over a private socket, never by file or argument."""

    tag: str
    #: name of an engine type, or `module:Class`
    engine: str
    user: str
    startup: dict[str, str]
    work_dir: str
    roots: list[str]
    gateway_address: str
    token: str
    orphan_timeout_s: float
    log_bytes_max: int

    @property
    def place(self) -> Place:
        return Place(
            tag=self.tag,
            user=self.user,
            work_dir=Path(self.work_dir),
            roots=tuple(Path(root) for root in self.roots),
        )

    def __repr__(self) -> str:
        return f"HostOrder(tag={self.tag!r}, engine={self.engine!r})"


def make_engine(order: HostOrder, loaded: Mapping[str, type[Engine]]) -> Engine:
    """The engine that `order` names; `loaded` are classes at hand. Raises `EngineError`."""
    try:
        engine_class = loaded.get(order.engine) or _find(order.engine)
        return engine_class(options_from(engine_class.options_class, order.startup), order.place)
    except UserMistake as error:
        raise EngineError(error.message, error.error_code) from None
    except BadOption as error:
        raise EngineError(str(error), InvalidRequest.code) from None
    except ImportError as error:
        raise EngineError(
            f"The engine {order.engine} cannot be loaded: {error}.", UnknownEngine.code
        ) from error


def _find(name: str) -> type[Engine]:
    module, colon, attribute = name.partition(":")
    if not colon:
        return EngineRegistry().get(name)
    found = getattr(importlib.import_module(module), attribute, None)
    if not (isinstance(found, type) and issubclass(found, Engine)):
        raise InvalidRequest(f"{name} is no engine class.")
    return found
