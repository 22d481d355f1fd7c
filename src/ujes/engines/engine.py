"""The port of an engine: what a new engine type has to say and do. One file, one engine.

An engine is plain blocking Python. Its host (`ujes.enginehost`) calls `open`, `split`, `run` and `close`
on the process's main thread, one at a time; `interrupt` and `progress` come from another thread while
`run` is going. The module must be importable without the library it drives: import that in `open`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from ujes.results.error import EngineError

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from ujes.results.writer import TableWriter, TextWriter

__all__ = [
    "Capabilities",
    "Engine",
    "EngineError",
    "Interrupted",
    "Options",
    "Output",
    "Place",
    "Stage",
    "option",
]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Base of an engine's options: a frozen dataclass whose fields are documented with `option()`.

    The fields become the configuration keys `<engine>.<field>` (dashes and dots as written in `key`).
    """


def option(default: Any, doc: str, *, key: str | None = None, scope: str = "startup") -> Any:
    """A documented option. `key` is its name on the wire; `scope` is "startup" or "runtime"."""
    return field(default=default, metadata={"doc": doc, "key": key, "scope": scope})


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    #: `interrupt` ends a run and the session lives on
    can_interrupt: bool = True
    #: `progress` tells more than which statement runs
    has_progress: bool = False
    #: variables, tables or temp views live from job to job
    keeps_session: bool = True


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A part of the work that counts its own tasks."""

    id: str
    total: int
    running: int = 0
    failed: int = 0
    succeeded: int = 0


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an engine instance lives."""

    #: unique tag of the instance; every process it starts carries it as UJES_INSTANCE
    tag: str
    #: as whom it runs
    user: str
    #: the instance's own folder: spill files, temporary files, the current directory
    work_dir: Path
    #: folders of the user that code may read and write
    roots: tuple[Path, ...]


class Interrupted(Exception):
    """`run` ended because `interrupt` was called."""


class Output(ABC):
    """Where a run puts what it says. The host gives it to `run`; every method may block."""

    #: runtime options of this job
    runtime: Mapping[str, str]

    @abstractmethod
    def info(self, text: str) -> None:
        """A log line with time and level INFO; several lines become several entries."""

    @abstractmethod
    def warn(self, text: str) -> None: ...

    @abstractmethod
    def error(self, text: str) -> None: ...

    @abstractmethod
    def line(self, text: str) -> None:
        """A line of the program's own output: goes to the log without time and level."""

    @abstractmethod
    def table(self, schema: pa.Schema) -> TableWriter:
        """Begin a table result set. Use as a context manager: complete on exit, dropped on error."""

    @abstractmethod
    def text(self) -> TextWriter:
        """Begin a text result set; one without lines is dropped. A context manager, as `table`."""

    @abstractmethod
    def html(self, html: str) -> None:
        """A result set of one HTML text."""

    @abstractmethod
    def picture(self, content: bytes, media_type: str) -> None:
        """A result set of one picture, e.g. "image/png"."""


class Engine(ABC):
    """One engine type; an object is the engine inside one instance."""

    name: ClassVar[str]
    #: languages it runs; the first is the default
    run_types: ClassVar[tuple[str, ...]]
    #: one sentence for the documents and `ujes doctor`
    summary: ClassVar[str]
    options_class: ClassVar[type[Options]]
    capabilities: ClassVar[Capabilities]
    #: import names it cannot do without, and the extra that brings them: shown when one is missing
    needs: ClassVar[tuple[str, ...]] = ()
    #: modules worth importing once in the warm parent; must start no thread and open nothing
    warm_imports: ClassVar[tuple[str, ...]] = ()

    def __init__(self, options: Options, place: Place) -> None:
        self.options = options
        self.place = place

    @abstractmethod
    def open(self) -> str:
        """Get ready; returns a banner for the log. Raises `EngineError` when it cannot."""

    def split(self, code: str) -> Sequence[str]:
        """The statements of `code`, in order. Raises `EngineError` for code that cannot be read."""
        return [code]

    @abstractmethod
    def run(self, statement: str, out: Output) -> None:
        """Run one statement to its end. Raises `EngineError` or `Interrupted`."""

    @abstractmethod
    def interrupt(self) -> None:
        """Make the `run` going on end soon. Called from another thread, perhaps again, perhaps late."""

    def progress(self) -> float | None:
        """How far the statement is, 0..1, or None. Called from another thread."""
        return None

    def stages(self) -> Sequence[Stage]:
        """Parts of the running statement that count their tasks. Called from another thread."""
        return ()

    @abstractmethod
    def close(self) -> None:
        """Let go of everything. Called once, also after a failed `open`."""
