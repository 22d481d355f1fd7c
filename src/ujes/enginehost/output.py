"""The output of one job: log lines into the outbox, result sets into the job's folder."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ujes.engines.engine import Output
from ujes.link.messages import Result
from ujes.results.writer import ResultFile, ResultFolder

if TYPE_CHECKING:
    import pyarrow as pa

    from ujes.enginehost.outbox import Outbox
    from ujes.results.writer import TableWriter, TextWriter

#: A longer line is broken into several: one line must fit a frame and the outbox.
LINE_CHARS_MAX = 64 * 1024
#: How much of a statement its echo shows.
ECHO_CHARS_MAX = 500


class JobLog:
    """Numbered lines of one job, up to a limit. Threads of the engine may write at once."""

    def __init__(self, outbox: Outbox, job: int, bytes_max: int) -> None:
        self._outbox = outbox
        self._job = job
        self._bytes_max = bytes_max
        self._bytes_left = bytes_max
        self._lock = threading.Lock()
        self._is_cut = False

    def add(self, text: str) -> None:
        """Add `text` as it is; line ends in it begin further lines. May wait for the gateway."""
        if self._is_cut:
            return
        lines = [part for line in _clean(text).split("\n") for part in _pieces(line.removesuffix("\r"))]
        self._outbox.add_lines(self._job, self._within_limit(lines))

    def _within_limit(self, lines: list[str]) -> list[str]:
        size_bytes = sum(len(line) if line.isascii() else len(line.encode()) for line in lines) + len(lines)
        with self._lock:
            self._bytes_left -= size_bytes
            if self._bytes_left >= 0:
                return lines
            if self._is_cut:
                return []
            self._is_cut = True
        return [
            header(
                "WARN",
                f"The log of this job is longer than {self._bytes_max} bytes; the rest of it is left out.",
            )
        ]


class JobOutput(Output):
    """What an engine gets to write to."""

    def __init__(
        self, outbox: Outbox, log: JobLog, job: int, result_dir: Path, runtime: Mapping[str, str]
    ) -> None:
        self.runtime = runtime
        self._outbox = outbox
        self._log = log
        self._job = job
        self._folder = ResultFolder(result_dir, self._on_result)

    def info(self, text: str) -> None:
        self._entries("INFO", text)

    def warn(self, text: str) -> None:
        self._entries("WARN", text)

    def error(self, text: str) -> None:
        self._entries("ERROR", text)

    def line(self, text: str) -> None:
        self._log.add(text)

    def echo(self, tag: str, statement: str) -> None:
        """Show the statement that begins: one entry, whose further lines have no header."""
        shown = statement.strip()
        if len(shown) > ECHO_CHARS_MAX:
            shown = shown[:ECHO_CHARS_MAX] + "..."
        self._log.add(header("INFO", f"{tag} >> {shown}"))

    def table(self, schema: pa.Schema) -> TableWriter:
        return self._folder.table(schema)

    def text(self) -> TextWriter:
        return self._folder.text()

    def html(self, html: str) -> None:
        self._folder.html(html)

    def picture(self, content: bytes, media_type: str) -> None:
        self._folder.picture(content, media_type)

    def _entries(self, level: str, text: str) -> None:
        self._log.add("\n".join(header(level, line) for line in text.split("\n")))

    def _on_result(self, file: ResultFile) -> None:
        self._outbox.add_result(
            Result(
                job=self._job,
                index=file.index,
                path=str(file.path),
                kind=file.kind,
                rows=file.rows,
                columns=file.columns,
                size_bytes=file.size_bytes,
            )
        )


def header(level: str, text: str, now_ns: Callable[[], int] = time.time_ns) -> str:
    """`text` as a log entry, with the local time."""
    now_ms = now_ns() // 1_000_000
    day_and_time = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now_ms // 1000))
    return f"{day_and_time}.{now_ms % 1000:03d} {level} {text}"


def _clean(text: str) -> str:
    """Without lone surrogates, which no file and no frame can hold."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _pieces(line: str) -> list[str]:
    if len(line) <= LINE_CHARS_MAX:
        return [line]
    return [line[start : start + LINE_CHARS_MAX] for start in range(0, len(line), LINE_CHARS_MAX)]
