"""The DuckDB engine by itself: statements, types, files, transactions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ujes.engines.duckdb import SQL_FAILED, DuckDB, DuckDBOptions
from ujes.engines.engine import EngineError, Interrupted, Place
from ujes.engines.options import SizeBytes
from ujes.results.cells import data_type, rows
from ujes.testing.output import RecordingOutput

Row = tuple[str | None, ...]


class Session:
    """An open engine, and one job after the other on it."""

    def __init__(self, directory: Path) -> None:
        self.root, self.work = directory / "root", directory / "work"
        self.root.mkdir()
        self.work.mkdir()
        self._results = directory
        self._jobs = 0
        place = Place(tag="duckdb-1", user="ann", work_dir=self.work, roots=(self.root,))
        options = DuckDBOptions(memory_limit=SizeBytes(256 * 1024**2), threads=2)
        self.engine = DuckDB(options, place)
        self.banner = self.engine.open()

    def output(self) -> RecordingOutput:
        self._jobs += 1
        return RecordingOutput(self._results / str(self._jobs))

    def run(self, code: str) -> RecordingOutput:
        out = self.output()
        for statement in self.engine.split(code):
            self.engine.run(statement, out)
        return out

    def rows(self, code: str) -> list[Row]:
        return rows(self.run(code).whole())

    def refused(self, code: str) -> str:
        with pytest.raises(EngineError) as caught:
            self.run(code)
        assert caught.value.code == SQL_FAILED
        return caught.value.text


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    here = Path.cwd()
    session = Session(tmp_path)
    yield session
    session.engine.close()
    assert Path.cwd() == here


# --- statements -------------------------------------------------------------------------------


def test_the_banner_says_what_it_may_use(session: Session) -> None:
    assert session.banner == "DuckDB 2.0.0, threads 2, memory limit 256.0 MiB"


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("select 1;select 2", 2),
        ("select ';'", 1),
        (";;  ;", 0),
        ('select "a;b" from (select 1 as "a;b");', 1),
        ("select 'a\n;b'", 1),
        ("select 1 -- a;b", 1),
        ("/* a;b */ select 1", 1),
        ("select $$a;b$$", 1),
        ("-- don't; can't\nselect 1", 1),
        ("select 'ä;ö'; select 2", 2),
        ("-- only words", 0),
        ("", 0),
        ("select 'half a pair \ud800'", 1),
    ],
)
def test_statements(session: Session, code: str, count: int) -> None:
    assert len(session.engine.split(code)) == count


@pytest.mark.parametrize(
    "code",
    [
        "select 1", "with a as (select 1) from a", "from t", "values (1)", "show tables", "describe t",
        "summarize t", "explain select 1", "pragma table_info('t')", "call pragma_version()", "pivot t on i",
        "insert into t values (1) returning i", "update t set i = 2 returning i as \"Count\"",
        "delete from t returning *", "execute p",
    ],
)  # fmt: skip
def test_what_returns_rows_is_a_table(session: Session, code: str) -> None:
    session.run("create table t(i int); insert into t values (7); prepare p as select 1")
    assert [file.kind for file in session.run(code).results] == ["table"]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("insert into t values (1), (2)", ["2 rows affected."]),
        ("update t set i = 2", ["1 row affected."]),
        ("delete from t where false", ["0 rows affected."]),
        ("create table u as from t", ["1 row affected."]),
        ("copy t to 't.csv'", ["1 row affected."]),
        ("create view v as from t", []),
        ("drop table t", []),
        ("begin; commit", []),
        ("set timezone = 'Asia/Shanghai'", []),
        ("attach ':memory:' as other; use other", []),
        ("alter table t add column b int", []),
        ("checkpoint", []),
        ("vacuum", []),
    ],
)
def test_what_returns_no_rows_is_a_log_line(session: Session, code: str, said: list[str]) -> None:
    session.run("create table t(i int); insert into t values (7)")
    out = session.run(code)
    assert out.results == []
    assert out.said("INFO") == said


def test_each_statement_runs_once(session: Session) -> None:
    session.run("create table t(i int); create sequence s")
    session.run(
        "insert into t values (1) returning i; select nextval('s'); insert into t select nextval('s')"
    )
    assert session.rows("select count(*), max(i), nextval('s') from t") == [("2", "2", "3")]


def test_headers_are_the_aliases_and_may_repeat(session: Session) -> None:
    table = session.run('select 1 as a, 2 as a, 3 as "Ü ""q"""').whole()
    assert table.schema.names == ["a", "a", 'Ü "q"']
    assert rows(table) == [("1", "2", "3")]


def test_an_empty_result_has_its_columns(session: Session) -> None:
    table = session.run("select 1 as a, '0'::bit as b, 2::uhugeint as c where false").whole()
    assert table.num_rows == 0
    assert [data_type(field) for field in table.schema] == ["int", "string", "decimal"]


def test_large_results_keep_their_order(session: Session) -> None:
    found = session.rows("select i, i::uhugeint from range(100_000) t(i) order by i desc")
    assert (len(found), found[0], found[-1]) == (100_000, ("99999", "99999"), ("0", "0"))


# --- errors, transactions, session ------------------------------------------------------------


def test_an_error_points_at_its_place(session: Session) -> None:
    assert session.refused("selec 1").endswith("LINE 1: selec 1\n        ^^^^^")
    text = session.refused("select\n  nope\nfrom range(3)")
    assert 'Referenced column "nope" not found' in text
    assert "LINE 2:   nope\n" in text


def test_statements_before_a_broken_one_count(session: Session) -> None:
    assert "syntax error" in session.refused("create table t as select 5 as i; selec 1")
    assert session.rows("from t") == [("5",)]


def test_the_session_lives_from_job_to_job(session: Session) -> None:
    session.run("create temp table t as select 1 as i; set timezone = 'Asia/Shanghai'; set variable x = 9")
    assert session.rows("select i, getvariable('x'), timestamptz '2024-01-01 00:00:00+00' from t") == [
        ("1", "9", "2024-01-01 08:00:00")
    ]


def test_an_aborted_transaction_does_not_reach_the_next_job(session: Session) -> None:
    session.run("create table t(i int); begin; insert into t values (1)")
    session.refused("select error('no')")
    assert session.rows("select count(*) from t") == [("0",)]


def test_an_open_transaction_is_kept(session: Session) -> None:
    session.run("create table t(i int); begin; insert into t values (1)")
    session.run("commit")
    assert session.rows("from t") == [("1",)]


def test_an_interrupt_ends_the_statement_and_keeps_the_session(session: Session) -> None:
    session.run("create temp table t as select 1 as i")
    seen: list[float] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            progress = session.engine.progress()
            if progress:
                seen.append(progress)
                session.engine.interrupt()
                session.engine.interrupt()
                return

    thread = threading.Thread(target=watch)
    thread.start()
    with pytest.raises(Interrupted):
        session.run("select count(*) from range(1_000_000) a, range(1_000_000) b where a.range + b.range = 5")
    over.set()
    thread.join()
    session.engine.interrupt()
    assert 0 < seen[0] <= 1
    assert session.engine.progress() is None
    assert session.rows("from t") == [("1",)]


def test_an_interrupt_ends_a_result_on_its_way(session: Session) -> None:
    class Interrupting(RecordingOutput):
        def table(self, schema):  # type: ignore[no-untyped-def]
            session.engine.interrupt()
            return super().table(schema)

    out = Interrupting(session.work / "out")
    with pytest.raises(Interrupted):
        session.engine.run("from range(100_000_000)", out)
    assert out.results == []
    assert session.rows("select 1") == [("1",)]


def test_an_error_on_the_way_leaves_no_half_result(session: Session) -> None:
    out = session.output()
    code = "select case when i = 900_000 then error('too late') else i end from range(1_000_000) t(i)"
    session.run("create table t(i int); begin; insert into t values (1)")
    with pytest.raises(EngineError, match="too late") as caught:
        session.engine.run(code, out)
    assert caught.value.code == SQL_FAILED
    assert out.results == []
    assert session.rows("select count(*) from t") == [("0",)]


def test_python_variables_are_no_tables(session: Session) -> None:
    assert "statement does not exist" in session.refused("select * from statement")


# --- types ------------------------------------------------------------------------------------

TYPES = [
    (f"{2**127 - 1}::hugeint", "decimal", f"{2**127 - 1}"),
    (f"{2**128 - 1}::uhugeint", "decimal", f"{2**128 - 1}"),
    ("18446744073709551615::ubigint", "decimal", "18446744073709551615"),
    ("1::utinyint", "int", "1"),
    ("sum(5)", "decimal", "5"),
    ("99999999999999999999999999999999999999999999::bignum", "decimal", "9" * 44),
    ("1.10::decimal(38, 2)", "decimal", "1.10"),
    ("1.5::float", "float", "1.5"),
    ("2.0::double", "double", "2"),
    ("true", "boolean", "true"),
    ("'2b1d4f0e-1111-2222-3333-444455556666'::uuid", "string", "2b1d4f0e-1111-2222-3333-444455556666"),
    ("'0101'::bit", "string", "0101"),
    ("'a\\xff'::blob", "binary", "61ff"),
    ("interval '1 year 2 months 3 days 04:05:06.789'", "string", "1 year 2 months 3 days 04:05:06.789"),
    ("date '2024-05-01'", "date", "2024-05-01"),
    ("'infinity'::date", "date", "infinity"),
    ("time '01:02:03.5'", "string", "01:02:03.5"),
    ("'24:00:00'::time", "string", "24:00:00"),
    ("'01:02:03.123456789'::time_ns", "string", "01:02:03.123456789"),
    ("'01:02:03+02'::timetz", "string", "01:02:03+02"),
    ("timestamp '2024-01-01 00:00:00.1'", "timestamp", "2024-01-01 00:00:00.1"),
    ("timestamp_s '2024-01-01 00:00:00'", "timestamp", "2024-01-01 00:00:00"),
    ("timestamp_ms '2024-01-01 00:00:00.123'", "timestamp", "2024-01-01 00:00:00.123"),
    ("timestamp_ns '2024-01-01 00:00:00.123456789'", "timestamp", "2024-01-01 00:00:00.123456789"),
    ("'-infinity'::timestamp", "timestamp", "-infinity"),
    ("'infinity'::timestamptz", "timestamp", "infinity"),
    ("'b'::enum('a', 'b')", "string", "b"),
    ("map {'a': 1, 'b': null}", "map", '{"a":1,"b":null}'),
    ("{'a': 1.5::decimal(5, 2), 'd': date '2024-01-01', 'n': null}", "struct",
     '{"a":"1.50","d":"2024-01-01","n":null}'),
    ("[1, 2, null]", "array", "[1,2,null]"),
    ("[]", "array", "[]"),
    ("[1, 2, 3]::int[3]", "array", "[1,2,3]"),
    ("[[1], [2, null], null]", "array", "[[1],[2,null],null]"),
    ("[1::uhugeint]", "array", "[1]"),
    ("['24:00:00'::time]", "array", '["24:00:00"]'),
    ("{'x': '01'::bit}", "struct", '{"x":"01"}'),
    ("map {'k': 1::hugeint}", "map", '{"k":1}'),
    ("union_value(num := 2)", "string", "2"),
    ("'{\"a\": 1}'::json", "string", '{"a": 1}'),
    ("{'a': 1}::variant", "string", '{"a":1}'),
    ("'POINT(1 2)'::geometry", "string", "POINT (1 2)"),
    ("null", "string", None),
]  # fmt: skip


@pytest.mark.parametrize(("value", "name", "expected"), TYPES, ids=[case[0] for case in TYPES])
def test_types(session: Session, value: str, name: str, expected: str | None) -> None:
    for code in (f"select {value} as c", f"select {value} as c union all (select null limit 0)"):
        table = session.run(code).whole()
        assert rows(table) == [(expected,)]
    assert data_type(session.run(f"select {value} as c").whole().schema.field(0)) == name


# --- files ------------------------------------------------------------------------------------


def test_files_of_the_user_by_any_name(session: Session) -> None:
    (session.root / "in.csv").write_text("a\n5\n")
    for name in ("in.csv", "~/in.csv", f"{session.root}/in.csv"):
        assert session.rows(f"from '{name}'") == [("5",)]
    session.run("copy (select 6 as a) to 'out.parquet'; copy (select 7 as a) to 'out.json'")
    assert session.rows("from 'out.parquet' union all from 'out.json'") == [("6",), ("7",)]
    assert {path.name for path in session.root.iterdir()} == {"in.csv", "out.parquet", "out.json"}


OUTSIDE: list[Callable[[Path], str]] = [
    lambda _: "from read_text('/etc/passwd')",
    lambda _: "from read_text('../../../../../../etc/passwd')",
    lambda root: f"from read_text('{root}/../secret.csv')",
    lambda root: f"from read_text('{root}/link.csv')",
    lambda _: "from read_text('link.csv')",
    lambda _: "from 'folder/secret.csv'",
    lambda _: "from glob('/etc/*')",
    lambda _: "attach '/tmp/elsewhere.db'",
    lambda root: f"copy (select 1) to '{root}/../out.csv'",
    lambda _: "copy (select 1) to 'folder/out.csv'",
    lambda root: f"export database '{root}/../all'",
    lambda _: "from 'http://127.0.0.1:1/x.csv'",
    lambda _: "install httpfs",
    lambda _: "install httpfs from 'http://127.0.0.1:1'",
    lambda _: "load httpfs",
    lambda _: "load '/tmp/some.duckdb_extension'",
]


@pytest.mark.parametrize("code", OUTSIDE)
def test_everything_else_is_out_of_reach(session: Session, code: Callable[[Path], str]) -> None:
    outside = session.root.parent
    (outside / "secret.csv").write_text("a\n1\n")
    (session.root / "link.csv").symlink_to(outside / "secret.csv")
    (session.root / "folder").symlink_to(outside)
    before = sorted(path.name for path in outside.iterdir())
    assert session.refused(code(session.root)).startswith("Permission Error: ")
    assert sorted(path.name for path in outside.iterdir() if not path.name.isdigit()) == before


@pytest.mark.parametrize(
    "setting",
    [
        "memory_limit = '9GB'", "threads = 64", "enable_external_access = true", "lock_configuration = false",
        "allowed_directories = ['/']", "allowed_configs = ['threads']", "home_directory = '/'",
        "temp_directory = '/tmp'", "python_enable_replacements = true", "extension_directory = '/tmp'",
    ],
)  # fmt: skip
def test_settings_are_locked(session: Session, setting: str) -> None:
    assert "the configuration has been locked" in session.refused(f"set {setting}")


def test_what_comes_with_duckdb_works(session: Session) -> None:
    code = "load json; load parquet; load icu; select json_extract('{\"a\": 1}', '$.a')"
    assert session.rows(code) == [("1",)]
