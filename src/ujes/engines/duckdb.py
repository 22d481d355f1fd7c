"""The DuckDB engine: one in-memory database and one session for each instance.

Statements run through the relational door (`connection.sql`), which runs each exactly once: a plain query
is only planned there and streams when its rows are asked for; anything with an effect runs at once and
keeps its rows. What DuckDB answers where there is nothing to answer (columns `Count` and `Success`)
becomes a log line and no result set.

Arrow cannot hold every DuckDB type by its value; those columns are turned into texts (nested ones into
JSON) by DuckDB itself, with the type's name kept beside them.

Files: only inside the user's folders and the instance's own. DuckDB enforces that, also through links; its
own settings are locked, but for a few that change how values look. The instance's process is the other wall.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ujes.engines.engine import (
    Capabilities,
    Engine,
    EngineError,
    Interrupted,
    Options,
    Output,
    Place,
    option,
)
from ujes.engines.options import SizeBytes

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

#: the code of a statement DuckDB refused or could not finish
SQL_FAILED = 40002
#: rows fetched at once, as many as a record batch of a result set has
FETCH_ROWS = 10_000
#: settings a user may change although the others are locked
OPEN_SETTINGS = (
    "TimeZone",
    "Calendar",
    "schema",
    "search_path",
    "default_order",
    "default_null_order",
    "default_collation",
    "integer_division",
    "ieee_floating_point_ops",
    "preserve_insertion_order",
    "pivot_limit",
    "scalar_subquery_error_on_multiple_rows",
    "storage_compatibility_version",
    "errors_as_json",
)
#: type ids that Arrow gets as texts; also when they stand inside another type
_AS_TEXT = frozenset({"bit", "variant", "bignum", "geometry", "union", "time with time zone"})
_NESTED = frozenset({"list", "array", "struct", "map"})
#: types whose names would be lost in Arrow
_NAMED = _AS_TEXT | {"hugeint", "uhugeint", "uuid", "enum"}
_LINE = re.compile(r"\nLINE (\d+):")
#: types whose whole range fits Arrow only at the top, where the reader lets 24:00:00 through
_TOP_ONLY = frozenset({"hugeint", "uhugeint", "time", "time_ns"})
#: whole numbers of 128 bits have up to 39 digits, one more than Arrow's decimal of that size
_HUGE = frozenset({"hugeint", "uhugeint"})
_HUGE_DIGITS = 39
_COUNTING = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE_INTO", "COPY", "CREATE"})
#: where extensions would be installed: a place DuckDB may not write, so it does not try
_NO_EXTENSIONS = "/nonexistent/ujes"


@dataclass(frozen=True, kw_only=True)
class DuckDBOptions(Options):
    memory_limit: SizeBytes = option(
        SizeBytes(1024**3),
        "Memory one instance may use; larger work spills to disk.",
        key="duckdb.memory_limit",
    )
    threads: int = option(
        0, "Threads one instance works with; 0 for one each processor.", key="duckdb.threads"
    )
    spill_limit: SizeBytes = option(
        SizeBytes(10 * 1024**3), "Disk space for work larger than memory.", key="duckdb.spill_limit"
    )


class DuckDB(Engine):
    """SQL on an embedded DuckDB."""

    name = "duckdb"
    run_types = ("sql",)
    summary = "SQL on an embedded DuckDB: tables in memory, and the CSV, JSON and Parquet files of the user."
    options_class = DuckDBOptions
    capabilities = Capabilities(has_progress=True)
    needs = ("duckdb", "pyarrow")
    warm_imports = ("duckdb", "pyarrow")

    options: DuckDBOptions

    def __init__(self, options: Options, place: Place) -> None:
        super().__init__(options, place)
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._lock = threading.Lock()
        self._is_running = False
        self._is_interrupted = False
        self._left_dir: Path | None = None

    def open(self) -> str:
        import duckdb  # noqa: PLC0415

        home = self.place.roots[0] if self.place.roots else self.place.work_dir
        try:
            self._connection = duckdb.connect(":memory:", config=self._config(home))
            for statement in self._settings():
                self._connection.execute(statement)
        except duckdb.Error as error:
            raise EngineError(f"DuckDB could not be opened: {error}", SQL_FAILED) from error
        # Files are written relative to the process's folder, whatever DuckDB's search path says.
        self._left_dir = Path.cwd()
        os.chdir(home)
        return self._banner()

    def split(self, code: str) -> Sequence[str]:
        """The statements. One that cannot be read is left for `run`: those before it count."""
        import duckdb  # noqa: PLC0415

        encoded = code.encode("utf-8", "replace")
        ends = [
            at
            for at, kind in duckdb.tokenize(encoded.decode("utf-8"))
            if kind == duckdb.token_type.operator and encoded[at : at + 1] == b";"
        ]
        begins = [0, *(end + 1 for end in ends)]
        pieces = (encoded[begin:end] for begin, end in zip(begins, [*ends, None], strict=True))
        return [text for piece in pieces if _has_code(text := piece.decode("utf-8").strip())]

    def run(self, statement: str, out: Output) -> None:
        with self._running() as connection:
            for each in connection.extract_statements(statement):
                self._check_interrupted()
                self._run_one(connection, each, out)

    def interrupt(self) -> None:
        with self._lock:
            if self._is_running and self._connection is not None:
                self._is_interrupted = True
                self._connection.interrupt()

    def progress(self) -> float | None:
        with self._lock:
            if not self._is_running or self._connection is None:
                return None
            percent = self._connection.query_progress()
        return percent / 100 if percent >= 0 else None

    def close(self) -> None:
        if self._left_dir is not None:
            os.chdir(self._left_dir)
            self._left_dir = None
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    # --- opening ------------------------------------------------------------------------------

    def _config(self, home: Path) -> dict[str, str | bool | int | float | list[str]]:
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": f"{self.options.memory_limit}B",
            "temp_directory": str(self.place.work_dir / "spill"),
            "max_temp_directory_size": f"{self.options.spill_limit}B",
            "home_directory": str(home),
            "file_search_path": str(home),
            "extension_directory": _NO_EXTENSIONS,
            "secret_directory": str(self.place.work_dir / "secrets"),
            "allow_persistent_secrets": "false",
            "allow_community_extensions": "false",
            "python_enable_replacements": "false",
        }
        if self.options.threads:
            config["threads"] = str(self.options.threads)
        return config

    def _settings(self) -> list[str]:
        folders = [f"{folder.resolve()}/" for folder in (*self.place.roots, self.place.work_dir)]
        return [
            "SET enable_progress_bar = true",
            "SET enable_progress_bar_print = false",
            f"SET allowed_configs = {_listed(OPEN_SETTINGS)}",
            f"SET allowed_directories = {_listed(folders)}",
            "SET autoinstall_known_extensions = false",
            "SET autoload_known_extensions = false",
            "SET enable_external_access = false",
            "SET lock_configuration = true",
        ]

    def _banner(self) -> str:
        assert self._connection is not None
        found = self._connection.execute(
            "SELECT version(), current_setting('threads'), current_setting('memory_limit')"
        ).fetchall()
        version, threads, memory = found[0]
        return f"DuckDB {version.removeprefix('v')}, threads {threads}, memory limit {memory}"

    # --- running ------------------------------------------------------------------------------

    @contextmanager
    def _running(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Interrupts reach what runs in here; DuckDB's refusals come out as the engine's."""
        import duckdb  # noqa: PLC0415

        connection = self._connection
        if connection is None:
            raise EngineError("DuckDB is not open.", SQL_FAILED)
        with self._lock:
            self._is_running, self._is_interrupted = True, False
        try:
            yield connection
        except duckdb.Error as error:
            self._stop_running()
            self._roll_back_aborted(connection)
            if self._is_interrupted:
                raise Interrupted from error
            raise EngineError(_message(error), SQL_FAILED) from error
        finally:
            self._stop_running()

    def _stop_running(self) -> None:
        """From here on an interrupt is late, and reaches nothing."""
        with self._lock:
            self._is_running = False

    def _run_one(self, connection: duckdb.DuckDBPyConnection, statement: Any, out: Output) -> None:
        relation = _relation(connection, statement.query)
        if relation is None:
            return
        answer = _answer(statement, relation)
        if answer == "rows":
            self._write(relation, out)
        elif answer == "count":
            for (count,) in relation.fetchall():
                out.info(f"{count} row{'' if count == 1 else 's'} affected.")
        else:
            relation.fetchall()

    def _write(self, relation: duckdb.DuckDBPyRelation, out: Output) -> None:
        reader, schema = _reader(relation)
        try:
            with out.table(schema) as table:
                for batch in _batches(reader):
                    self._check_interrupted()
                    table.write(batch)
            out.info(f"Fetched {len(schema)} col(s) : {table.rows} row(s).")
        finally:
            reader.close()

    def _check_interrupted(self) -> None:
        if self._is_interrupted:
            raise Interrupted

    def _roll_back_aborted(self, connection: duckdb.DuckDBPyConnection) -> None:
        """An aborted transaction refuses everything but its end; the next job must not find one."""
        import duckdb  # noqa: PLC0415

        try:
            connection.execute("SELECT 1").fetchall()
        except duckdb.TransactionException:
            connection.rollback()


def _relation(connection: duckdb.DuckDBPyConnection, query: str) -> Any:
    """Plan `query`, or run it when it is more than a query. None for what has no answer."""
    import duckdb  # noqa: PLC0415

    try:
        return connection.sql(query)
    except (duckdb.BinderException, duckdb.CatalogException) as error:
        if "\nLINE " in str(error):
            raise
        pointed = _with_line(connection, query)
        raise (pointed or error) from error


def _with_line(connection: duckdb.DuckDBPyConnection, query: str) -> Exception | None:
    """The same refusal with the line it is about, which only planning by `EXPLAIN` tells."""
    import duckdb  # noqa: PLC0415

    try:
        connection.execute(f"EXPLAIN\n{query}").fetchall()
    except (duckdb.BinderException, duckdb.CatalogException) as error:
        text = _LINE.sub(lambda found: f"\nLINE {int(found[1]) - 1}:", str(error))
        return type(error)(text)
    except duckdb.Error:
        return None
    return None


def _answer(statement: Any, relation: duckdb.DuckDBPyRelation) -> str:
    """What a statement gave: "rows", a "count" of rows it touched, or "nothing" but that it is done."""
    kind = _type_name(statement)
    if relation.columns == ["Success"] and kind != "SELECT":
        return "nothing"
    if relation.columns == ["Count"] and kind in _COUNTING and not _is_returning(statement.query):
        return "count"
    return "rows"


def _type_name(statement: Any) -> str:
    try:
        return str(statement.type.name)
    except ValueError:  # a kind of statement the Python package has no name for
        return ""


def _is_returning(query: str) -> bool:
    import duckdb  # noqa: PLC0415

    encoded = query.encode("utf-8", "replace")
    return any(
        kind == duckdb.token_type.keyword and encoded[at : at + 9].lower() == b"returning"
        for at, kind in duckdb.tokenize(query)
    )


def _has_code(text: str) -> bool:
    import duckdb  # noqa: PLC0415

    return any(kind != duckdb.token_type.comment for _, kind in duckdb.tokenize(text))


def _reader(relation: duckdb.DuckDBPyRelation) -> tuple[pa.RecordBatchReader, pa.Schema]:
    """The rows as Arrow batches, and their schema with the names of types Arrow has not."""
    import pyarrow as pa  # noqa: PLC0415

    types, names = relation.types, relation.columns
    shown = [_expression(at, kind, name) for at, (kind, name) in enumerate(zip(types, names, strict=True), 1)]
    if any(text is not None for text in shown):
        columns = (text or f"#{at} AS {_quoted(names[at - 1])}" for at, text in enumerate(shown, 1))
        relation = relation.project(", ".join(columns))
    reader = relation.to_arrow_reader(FETCH_ROWS)
    fields = zip(reader.schema, names, types, shown, strict=True)
    schema = [_field(field, name, kind, text is not None) for field, name, kind, text in fields]
    return reader, pa.schema(schema)


def _batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """The rows as they come. What DuckDB refuses on the way Arrow tells as its own: here it is told back."""
    import duckdb  # noqa: PLC0415
    import pyarrow as pa  # noqa: PLC0415

    while True:
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            return
        except (OSError, pa.ArrowException) as error:
            raise duckdb.Error(str(error)) from error
        yield batch


def _field(field: pa.Field, name: str, kind: Any, is_text: bool) -> pa.Field:
    import pyarrow as pa  # noqa: PLC0415

    if str(kind.id) in _HUGE:
        field = field.with_type(pa.decimal256(_HUGE_DIGITS, 0))
    is_named = is_text or str(kind.id) in _NAMED or str(kind) == "JSON"
    return field.with_name(name).with_metadata({"ujes.type": str(kind)} if is_named else None)


def _expression(at: int, kind: Any, name: str) -> str | None:
    """How a column that Arrow would not carry by its value is selected; None for all others."""
    if not _is_beyond_arrow(kind):
        return None
    value = f"to_json(#{at})" if str(kind.id) in _NESTED or str(kind.id) == "variant" else f"#{at}"
    return f"CAST({value} AS VARCHAR) AS {_quoted(name)}"


def _is_beyond_arrow(kind: Any) -> bool:
    if str(kind.id) in _AS_TEXT or str(kind.id) == "uhugeint":
        return True
    if str(kind.id) not in _NESTED:
        return False
    children = [child for _, child in kind.children if not isinstance(child, int)]
    return any(str(child.id) in _TOP_ONLY or _is_beyond_arrow(child) for child in children)


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def _listed(texts: Sequence[str]) -> str:
    quoted = ("'" + text.replace("'", "''") + "'" for text in texts)
    return f"[{', '.join(quoted)}]"


def _message(error: Exception) -> str:
    return str(error).strip() or type(error).__name__
