"""Result sets, written: each an Arrow IPC file of its own, `_<n>.arrow` in the folder of its job.

A set is written under a name that begins with a dot and gets its number and its name only when it is
complete, so whoever lists the folder sees whole sets in the order in which they were completed. On any
error the unfinished file is removed. Record batches have at most `BATCH_ROWS` rows, so that a page
anywhere costs the same; smaller ones are put together first.
"""

from __future__ import annotations

import base64
import errno
import html as html_text
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import pyarrow as pa

from ujes.results.error import EngineError
from ujes.results.strings import string_array

Kind = Literal["table", "text", "html", "picture"]

#: rows of a record batch at most
BATCH_ROWS = 10_000
#: smaller batches wait for more until they have this much together
WAITING_BYTES_MAX = 16 * 1024 * 1024
#: characters of text lines kept before they are written
TEXT_CHARS_MAX = 1024 * 1024
#: the error number for a result store that cannot be written
NOT_WRITTEN = 20052


@dataclass(frozen=True, kw_only=True, slots=True)
class ResultFile:
    """A complete result set."""

    index: int
    path: Path
    kind: Kind
    rows: int
    columns: int
    size_bytes: int


class ResultFolder:
    """The result sets of one job. Its writers may be used from several threads, each by one."""

    def __init__(self, directory: Path, on_complete: Callable[[ResultFile], None]) -> None:
        self.directory = directory
        self._on_complete = on_complete
        self._lock = threading.Lock()
        self._completed = 0
        self._begun = itertools.count()
        with _refusals(directory):
            directory.mkdir(parents=True, exist_ok=True)

    def table(self, schema: pa.Schema) -> TableWriter:
        return TableWriter(self, schema)

    def text(self) -> TextWriter:
        return TextWriter(self)

    def html(self, html: str) -> None:
        self._one_cell("html", html)

    def picture(self, content: bytes, media_type: str) -> None:
        source = f"data:{html_text.escape(media_type)};base64,{base64.b64encode(content).decode('ascii')}"
        self._one_cell("picture", f'<img src="{source}">')

    def _one_cell(self, kind: Kind, text: str) -> None:
        with _ArrowFile(self, kind, _text_schema()) as file:
            file.write(_text_batch([text], file.schema))

    def _begin(self) -> Path:
        return self.directory / f".{next(self._begun)}.arrow.part"

    def _complete(self, part: Path, kind: Kind, rows: int, columns: int) -> None:
        """Gives the set its number. Numbers are told in order: the callback runs under the lock."""
        with self._lock:
            path = self.directory / f"_{self._completed}.arrow"
            size_bytes = part.stat().st_size
            part.rename(path)
            file = ResultFile(
                index=self._completed, path=path, kind=kind, rows=rows, columns=columns, size_bytes=size_bytes
            )
            self._completed += 1
            self._on_complete(file)


class _ArrowFile:
    """One Arrow file on its way: complete on exit, removed on error."""

    def __init__(self, folder: ResultFolder, kind: Kind, schema: pa.Schema) -> None:
        self._folder = folder
        self._kind: Kind = kind
        self.schema = schema.with_metadata({"ujes.kind": kind})
        self._path = folder._begin()
        self._rows = 0
        self._sink: pa.NativeFile | None = None
        with self._dropped_on_error():
            self._sink = pa.OSFile(str(self._path), "wb")
            # A single column is not worth a pool of threads, which not every engine has yet.
            options = pa.ipc.IpcWriteOptions(compression="zstd", use_threads=len(schema) > 1)
            self._writer = pa.ipc.new_file(self._sink, self.schema, options=options)

    def write(self, batch: pa.RecordBatch) -> None:
        with self._dropped_on_error():
            self._writer.write_batch(batch)
        self._rows += batch.num_rows

    def complete(self) -> None:
        with self._dropped_on_error():
            self._writer.close()
            if self._sink is not None:
                self._sink.close()
            self._folder._complete(self._path, self._kind, self._rows, len(self.schema))

    def drop(self) -> None:
        # Closing may fail again on a full disk. Why it broke is on its way to the user; the file goes anyway.
        if self._sink is not None:
            with suppress(OSError):
                self._sink.close()
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.complete()
        else:
            self.drop()

    @contextmanager
    def _dropped_on_error(self) -> Iterator[None]:
        try:
            with _refusals(self._folder.directory):
                yield
        except BaseException:
            self.drop()
            raise


class TableWriter:
    """A table result set on its way. A context manager: complete on exit, dropped on error."""

    def __init__(self, folder: ResultFolder, schema: pa.Schema) -> None:
        self._file = _ArrowFile(folder, "table", _plain(schema))
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0
        self._waiting_bytes = 0
        #: rows written so far
        self.rows = 0

    def write(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Add rows. Their columns stand in the order of the schema; names need not be unique."""
        if not batch.schema.equals(self._file.schema):
            batch = batch.cast(self._file.schema)
        self.rows += batch.num_rows
        for part in batch.to_batches(BATCH_ROWS) if isinstance(batch, pa.Table) else [batch]:
            for start in range(0, part.num_rows, BATCH_ROWS):
                self._add(part.slice(start, BATCH_ROWS))

    def _add(self, batch: pa.RecordBatch) -> None:
        if self._waiting_rows + batch.num_rows > BATCH_ROWS:
            self._flush()
        if not self._waiting and batch.num_rows > BATCH_ROWS // 2:
            self._file.write(batch)
            return
        self._waiting.append(batch)
        self._waiting_rows += batch.num_rows
        self._waiting_bytes += batch.get_total_buffer_size()
        if self._waiting_bytes > WAITING_BYTES_MAX:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            whole = self._waiting[0] if len(self._waiting) == 1 else pa.concat_batches(self._waiting)
            self._waiting, self._waiting_rows, self._waiting_bytes = [], 0, 0
            self._file.write(whole)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
            self._file.complete()
        else:
            self._file.drop()


class TextWriter:
    """A text result set on its way, one row a line. Nothing is left of one without lines."""

    def __init__(self, folder: ResultFolder) -> None:
        self._folder = folder
        self._file: _ArrowFile | None = None
        self._lines: list[str] = []
        self._chars = 0

    def write_line(self, text: str) -> None:
        self._lines.append(text)
        self._chars += len(text)
        if self._chars >= TEXT_CHARS_MAX or len(self._lines) >= BATCH_ROWS:
            self._flush()

    def _flush(self) -> None:
        if not self._lines:
            return
        if self._file is None:
            self._file = _ArrowFile(self._folder, "text", _text_schema())
        batch = _text_batch(self._lines, self._file.schema)
        self._lines, self._chars = [], 0
        self._file.write(batch)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
            if self._file is not None:
                self._file.complete()
        elif self._file is not None:
            self._file.drop()


def _text_schema() -> pa.Schema:
    return pa.schema([pa.field("text", pa.string(), nullable=False)])


def _text_batch(lines: list[str], schema: pa.Schema) -> pa.RecordBatch:
    try:
        column = string_array(lines)
    except UnicodeEncodeError:  # half of a surrogate pair, which UTF-8 cannot hold
        whole = [line.encode("utf-8", "replace").decode("utf-8") for line in lines]
        column = string_array(whole)
    return pa.record_batch([column], schema=schema)


def _plain(schema: pa.Schema) -> pa.Schema:
    """The schema without dictionaries: in an Arrow file one cannot change from batch to batch."""
    return pa.schema([field.with_type(_plain_type(field.type)) for field in schema])


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if pa.types.is_run_end_encoded(kind):
        return _plain_type(kind.value_type)
    if pa.types.is_list(kind):
        return pa.list_(_plain_field(kind.value_field))
    if pa.types.is_large_list(kind):
        return pa.large_list(_plain_field(kind.value_field))
    if pa.types.is_struct(kind):
        return pa.struct([_plain_field(kind.field(at)) for at in range(kind.num_fields)])
    return kind


def _plain_field(field: pa.Field) -> pa.Field:
    return field.with_type(_plain_type(field.type))


@contextmanager
def _refusals(directory: Path) -> Iterator[None]:
    """Whatever the file system refuses, as a sentence for the user."""
    try:
        yield
    except OSError as error:
        raise EngineError(_sentence(directory, error), NOT_WRITTEN) from error


def _sentence(directory: Path, error: OSError) -> str:
    reason = os.strerror(error.errno) if error.errno else str(error)
    text = f"The result set could not be written to {directory}: {reason}."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{text} Free space there or ask for fewer rows, and run the job again."
    return f"{text} Ask the administrator to look at that folder."
