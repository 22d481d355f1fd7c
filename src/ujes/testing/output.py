"""An `Output` that keeps what an engine says, for tests of engines without a host."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import pyarrow as pa

from ujes.engines.engine import Output
from ujes.results.reader import ResultReader
from ujes.results.writer import ResultFile, ResultFolder, TableWriter, TextWriter


class RecordingOutput(Output):
    """Log lines in a list, result sets in a folder. `heard` waits for a line, so no test must sleep."""

    def __init__(self, directory: Path, runtime: Mapping[str, str] = MappingProxyType({})) -> None:
        self.runtime = runtime
        #: (level or None, text) in the order said
        self.log: list[tuple[str | None, str]] = []
        self.results: list[ResultFile] = []
        self._folder = ResultFolder(directory, self.results.append)
        self._said = threading.Condition()

    def info(self, text: str) -> None:
        self._say("INFO", text)

    def warn(self, text: str) -> None:
        self._say("WARN", text)

    def error(self, text: str) -> None:
        self._say("ERROR", text)

    def line(self, text: str) -> None:
        self._say(None, text)

    def table(self, schema: pa.Schema) -> TableWriter:
        return self._folder.table(schema)

    def text(self) -> TextWriter:
        return self._folder.text()

    def html(self, html: str) -> None:
        self._folder.html(html)

    def picture(self, content: bytes, media_type: str) -> None:
        self._folder.picture(content, media_type)

    def _say(self, level: str | None, text: str) -> None:
        with self._said:
            self.log.append((level, text))
            self._said.notify_all()

    def heard(self, is_it: Callable[[str], bool], timeout_s: float = 20.0) -> str:
        """The first line that `is_it`; waits for it. Raises TimeoutError."""

        def found() -> str | None:
            return next((text for _, text in self.log if is_it(text)), None)

        with self._said:
            self._said.wait_for(lambda: found() is not None, timeout_s)
            line = found()
        if line is None:
            raise TimeoutError(f"no such line among {len(self.log)}: {self.log[-5:]}")
        return line

    @property
    def lines(self) -> list[str]:
        """The program's own output, as far as it went to the log."""
        return [text for level, text in self.log if level is None]

    def said(self, level: str) -> list[str]:
        return [text for each, text in self.log if each == level]

    def whole(self, index: int = 0) -> pa.Table:
        """All rows of a result set."""
        with ResultReader.open(self.results[index].path) as reader:
            return reader.page(0, reader.rows)
