"""Pages of a result set, read from its Arrow file.

A page touches only the record batches it lies in. The file is read at positions and not mapped into
memory: its batches are compressed, so a map would save no copy, and a mapped file that is cut short
by somebody kills the process that reads it. The file comes from a process in which a user's code
ran; batches are checked before anything else looks at them.
"""

from __future__ import annotations

import os
import struct
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Self, get_args

import pyarrow as pa

from ujes.results.blocks import batch_rows
from ujes.results.writer import Kind

#: open readers kept for the next page; each holds one descriptor and no rows
READERS_MAX = 64


class ResultUnreadable(Exception):
    """The file is no result set, or not a whole one. The text is a sentence for the user."""


class ResultReader:
    """One complete result set. Pages may be asked for from several threads."""

    def __init__(self, path: Path, file: pa.NativeFile) -> None:
        self.path = path
        self._file = file
        self._lock = threading.Lock()
        # Pages are asked for in many threads already; Arrow's own would take longer to wake than to help.
        self._reader = pa.ipc.open_file(file, options=pa.ipc.IpcReadOptions(use_threads=False))
        rows = batch_rows(file, file.size())
        if len(rows) != self._reader.num_record_batches:
            raise ValueError("its footer and its batches do not agree")
        #: number of the first row after each batch
        self._ends = list(accumulate(rows))
        self.schema: pa.Schema = self._reader.schema
        self.kind = _kind(self.schema)

    @classmethod
    def open(cls, path: Path, descriptor: int | None = None) -> Self:
        """The file at the path, or the one open already as `descriptor`. Raises `ResultUnreadable`."""
        try:
            file = pa.OSFile(str(path) if descriptor is None else f"/dev/fd/{descriptor}", "rb")
        except OSError as error:
            raise _unreadable(path, error.strerror or str(error)) from error
        try:
            return cls(path, file)
        except (pa.ArrowException, OSError, ValueError, struct.error) as error:
            file.close()
            raise _unreadable(path, str(error)) from error

    @property
    def rows(self) -> int:
        return self._ends[-1] if self._ends else 0

    def page(self, offset: int, count: int) -> pa.Table:
        """Rows `offset` to `offset + count`, as far as they exist. Raises `ResultUnreadable`."""
        if offset < 0 or count < 0:
            raise ValueError(f"a page begins at a row and has rows: not {offset}, {count}")
        end = min(offset + count, self.rows)
        if offset >= end:
            return self.schema.empty_table()
        first = bisect_right(self._ends, offset)
        last = bisect_right(self._ends, end - 1)
        begin = self._ends[first - 1] if first else 0
        whole = pa.Table.from_batches([self._batch(at) for at in range(first, last + 1)], self.schema)
        return whole.slice(offset - begin, end - offset)

    def _batch(self, at: int) -> pa.RecordBatch:
        try:
            with self._lock:
                batch = self._reader.get_batch(at)
            for column in batch.columns:
                column.validate(full=not _is_free_of_references(column.type))
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _unreadable(self.path, str(error)) from error
        if batch.num_rows != self._ends[at] - (self._ends[at - 1] if at else 0):
            raise _unreadable(self.path, "a batch has another length than it says")
        return batch

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Readers:
    """Open readers, the least recently used of them let go at the bound.

    A reader let go is not closed but forgotten: another thread may be reading a page from it.
    """

    def __init__(
        self, readers_max: int = READERS_MAX, open_file: Callable[[Path], int] | None = None
    ) -> None:
        """`open_file` opens, for reading, only what may be read."""
        self._readers_max = readers_max
        self._open_file = open_file or _open_file
        self._lock = threading.Lock()
        self._open: OrderedDict[tuple[Path, int, int], ResultReader] = OrderedDict()

    def get(self, path: Path) -> ResultReader:
        """The reader of the file as it is now. Raises `ResultUnreadable`."""
        try:
            descriptor = self._open_file(path)
        except OSError as error:
            raise _unreadable(path, error.strerror or str(error)) from error
        try:
            state = os.fstat(descriptor)
            key = (path, state.st_mtime_ns, state.st_size)
            return self._known(key) or self._keep(key, ResultReader.open(path, descriptor))
        finally:
            os.close(descriptor)

    def _known(self, key: tuple[Path, int, int]) -> ResultReader | None:
        with self._lock:
            found = self._open.get(key)
            if found is not None:
                self._open.move_to_end(key)
            return found

    def _keep(self, key: tuple[Path, int, int], reader: ResultReader) -> ResultReader:
        with self._lock:
            self._open[key] = reader
            while len(self._open) > self._readers_max:
                self._open.popitem(last=False)
        return reader

    def close(self) -> None:
        with self._lock:
            readers = list(self._open.values())
            self._open.clear()
        for reader in readers:
            reader.close()


def _open_file(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _is_free_of_references(kind: pa.DataType) -> bool:
    """Whether no value can lead outside its column: odd ones pass then, such as the 24:00:00 of SQL."""
    return bool(pa.types.is_time(kind) or pa.types.is_decimal(kind))


def _kind(schema: pa.Schema) -> Kind:
    text = (schema.metadata or {}).get(b"ujes.kind", b"").decode("utf-8", "replace")
    for kind in get_args(Kind):
        if text == kind:
            return kind  # type: ignore[no-any-return]
    raise ValueError("it does not say which kind of result set it is")


def _unreadable(path: Path, reason: str) -> ResultUnreadable:
    return ResultUnreadable(f"The result set {path.name} cannot be read: {reason.rstrip('.')}.")
