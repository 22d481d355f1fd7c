"""Which engines there are. Built-in ones come in by the same door as anybody's: the entry-point group.

An engine's module is loaded when it is first asked about, and never the library it drives: whether that
is installed is looked up without importing it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Collection
from importlib.metadata import EntryPoint, entry_points

from ujes.core.errors import InvalidRequest, UnknownEngine
from ujes.engines.engine import Engine
from ujes.engines.options import BadOption, options_from

__all__ = ["GROUP", "BadOption", "EngineRegistry", "options_from"]

GROUP = "ujes.engines"


class EngineRegistry:
    """The engine classes of this installation, by name.

    `elsewhere` names engines that run in a Python of their own, whose libraries cannot be looked up here.
    """

    def __init__(self, *, elsewhere: Collection[str] = ()) -> None:
        self._doors: dict[str, EntryPoint] = {
            door.name: door for door in sorted(entry_points(group=GROUP), key=lambda door: door.name)
        }
        self._classes: dict[str, type[Engine]] = {}
        self._broken: dict[str, str] = {}
        #: engines that can run: looking for their libraries again at each job would cost more than the job
        self._able: set[str] = set(elsewhere)

    def names(self) -> tuple[str, ...]:
        """Every engine type, whether it can run here or not."""
        return tuple(self._doors)

    def get(self, name: str) -> type[Engine]:
        """The class of an engine. Raises `UnknownEngine`."""
        found = self._load(name)
        if found is None:
            raise UnknownEngine(self._unknown(name))
        return found

    def run_types(self, name: str) -> tuple[str, ...]:
        return self.get(name).run_types

    def missing(self, name: str) -> str | None:
        """Why an engine of this installation cannot run, or None when it can."""
        found = self._load(name)
        if found is None:
            return self._broken.get(name, "there is no such engine")
        if name in self._able:
            return None
        absent = [need for need in found.needs if importlib.util.find_spec(need) is None]
        if not absent:
            self._able.add(name)
        return f"it needs the Python package {' and '.join(absent)}, not installed here" if absent else None

    def resolve(self, engine: str, run_type: str) -> str:
        """The run type as the engine spells it. Raises `UnknownEngine`, `InvalidRequest`."""
        if engine not in self._doors:
            raise UnknownEngine(self._unknown(engine))
        reason = self.missing(engine)
        if reason is not None:
            raise UnknownEngine(f"The engine {engine} cannot run here: {reason}. {self._available()}")
        run_types = self.run_types(engine)
        for known in run_types:
            if known.lower() == run_type.strip().lower():
                return known
        listed = ", ".join(run_types)
        raise InvalidRequest(f"The engine {engine} does not run {run_type!r}. Its run types: {listed}.")

    def _load(self, name: str) -> type[Engine] | None:
        if name not in self._classes and name in self._doors and name not in self._broken:
            try:
                self._classes[name] = self._doors[name].load()
            except (ImportError, AttributeError) as error:
                self._broken[name] = f"its code cannot be loaded ({error})"
        return self._classes.get(name)

    def _unknown(self, name: str) -> str:
        reason = self._broken.get(name)
        what = (
            f"The engine {name} cannot run here: {reason}."
            if reason
            else f"There is no engine {name!r} here."
        )
        return f"{what} {self._available()}"

    def _available(self) -> str:
        ready = [name for name in self.names() if self.missing(name) is None]
        listed = ", ".join(f"{name} ({', '.join(self.run_types(name))})" for name in ready)
        return f"Available engines and their run types: {listed or 'none'}."
