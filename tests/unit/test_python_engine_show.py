"""The python engine: objects become result sets."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars
import pytest
from matplotlib.figure import Figure

from tests.support.python_engine import Bench, texts


@pytest.fixture(scope="module", autouse=True)
def libraries() -> None:
    """Libraries that keep descriptors for ever, fonts and an event loop, open them here once."""
    polars.DataFrame({"a": [1]}).lazy().collect()
    figure = Figure()
    figure.subplots().plot([1, 2])
    figure.savefig(io.BytesIO(), bbox_inches="tight")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Bench(tmp_path) as opened:
        yield opened


def table(bench: Bench, code: str) -> tuple[dict[str, str], list[tuple[Any, ...]]]:
    """Types by column, and rows, of the one table that `code` shows."""
    out = bench.run(code)
    assert [each.kind for each in out.results] == ["table"]
    whole = out.whole()
    rows = list(zip(*(column.to_pylist() for column in whole.columns), strict=True))
    return {field.name: str(field.type) for field in whole.schema}, rows


@pytest.mark.parametrize("shown", ["df", "show(df)", "show.show(df)", "__show__(df)", "__show__.show(df)"])
def test_every_spelling_of_show(bench: Bench, shown: str) -> None:
    types, rows = table(bench, f"import pandas as pd\ndf = pd.DataFrame({{'a': [1, 2]}})\n{shown}")
    assert (types, rows) == ({"a": "int64"}, [(1,), (2,)])


def test_a_last_line_with_a_semicolon_shows_nothing(bench: Bench) -> None:
    assert bench.run("import pyarrow as pa\npa.table({'a': [1]});").results == []


def test_pandas_types(bench: Bench) -> None:
    types, rows = table(
        bench,
        """
        import datetime, decimal
        import numpy as np
        import pandas as pd
        at = pd.Timestamp("2026-01-02 03:04:05", tz="Europe/Berlin")
        pd.DataFrame({
            "i": np.array([1, 2], "int32"), "f": [0.5, None], "b": [True, False], "s": ["x", None],
            "o": [1, "x"], "n": pd.array([1, None], dtype="Int64"), "z": [at, None],
            "d": [datetime.date(2026, 1, 2), None], "t": pd.to_timedelta([1, None], unit="s"),
            "c": pd.Categorical(["u", None]), "k": pd.Categorical([3, 4]),
            "p": pd.period_range("2026-01", periods=2, freq="M"),
            "l": [[1], [2, 3]], "m": [decimal.Decimal("1.5"), None], "x": [1 + 2j, 3j],
            "q": pd.arrays.SparseArray([0, 7]), "w": [b"a", None], "e": [None, None], "h": [2**70, 1],
            "v": pd.arrays.IntervalArray.from_breaks([0, 1, 2]),
        })
        """,
    )
    assert {name: kind.removeprefix("large_") for name, kind in types.items()} == {
        "i": "int32", "f": "double", "b": "bool", "s": "string", "o": "string", "n": "int64",
        "z": "timestamp[us, tz=Europe/Berlin]", "d": "date32[day]", "t": types["t"], "c": "string",
        "k": "int64", "p": "string", "l": "list<item: int64>", "m": "decimal128(2, 1)", "x": "string",
        "q": "int64", "w": "binary", "e": "null", "h": "string", "v": "string",
    }  # fmt: skip
    assert types["t"].startswith("duration")
    named = dict(zip(types, rows[0], strict=True))
    assert (named["o"], named["c"], named["p"], named["x"], named["h"], named["v"]) == (
        "1", "u", "2026-01", "(1+2j)", str(2**70), "(0, 1]",
    )  # fmt: skip
    last = dict(zip(types, rows[1], strict=True))
    assert [last[name] for name in "fsnzdtcmwe"] == [None] * 10


def test_a_telling_index_is_kept(bench: Bench) -> None:
    bench.run("import pandas as pd\ndf = pd.DataFrame({'k': ['x', 'y', 'x'], 'v': [1, 2, 3]})")
    assert table(bench, "df[df.v > 1]")[1] == [(1, "y", 2), (2, "x", 3)]
    assert table(bench, "df.groupby('k').sum()") == (
        {"k": "large_string", "v": "int64"},
        [("x", 4), ("y", 2)],
    )
    assert list(table(bench, "df.set_index(['k', 'v']).assign(w=0)")[0]) == ["k", "v", "w"]
    assert table(bench, "df['k'].value_counts()")[1] == [("x", 2), ("y", 1)]
    assert table(bench, "pd.Series([1, 2])") == ({"value": "int64"}, [(1,), (2,)])


def test_odd_frames(bench: Bench) -> None:
    bench.run("import pandas as pd")
    out = bench.run("pd.DataFrame([[1, 2]], columns=['a', 'a'])")
    assert out.whole().column_names == ["a", "a"]
    assert list(table(bench, "pd.DataFrame([[1, 2]], columns=[('a', 1), ('b', 2)])")[0]) == ["a_1", "b_2"]
    assert list(table(bench, "pd.DataFrame([[1, 2]])")[0]) == ["0", "1"]
    out = bench.run("pd.DataFrame({'a': pd.Series([], dtype='int64')})")
    assert (out.results[0].rows, out.results[0].columns) == (0, 1)
    out = bench.run("pd.DataFrame()")
    assert (out.results[0].rows, out.results[0].columns) == (0, 0)
    assert bench.run("pd.DataFrame").results == []


def test_polars(bench: Bench) -> None:
    types, rows = table(
        bench,
        """
        import datetime
        import polars as pl
        df = pl.DataFrame({
            "a": [1, None], "s": ["x", None], "d": [datetime.date(2026, 1, 2), None],
            "c": pl.Series(["u", None], dtype=pl.Categorical), "l": [[1], None],
        }).with_columns(o=pl.Series([object, None], dtype=pl.Object))
        df
        """,
    )
    assert [kind.removeprefix("large_") for kind in types.values()] == [
        "int64", "string", "date32[day]", "string", "list<item: int64>", "string",
    ]  # fmt: skip
    assert rows[0][-1] == "<class 'object'>"
    assert rows[1] == (None,) * 6
    assert table(bench, "df.lazy().select('a')")[1] == [(1,), (None,)]
    assert table(bench, "df['a']")[1] == [(1,), (None,)]
    assert bench.run("pl.DataFrame({'n': range(25_000)})").results[0].rows == 25_000
    assert bench.run("df.head(0)").results[0].rows == 0


def test_arrow_and_duckdb(bench: Bench) -> None:
    bench.run("import pyarrow as pa\nt = pa.table({'a': pa.array(['x', 'y', 'x']).dictionary_encode()})")
    for each in ("t", "t.to_batches()[0]", "t.to_reader()"):
        assert table(bench, each) == ({"a": "string"}, [("x",), ("y",), ("x",)])
    bench.run("import duckdb\ncon = duckdb.connect()")
    types, rows = table(bench, "con.sql('select range as n, range::varchar as s from range(25000)')")
    assert (types, rows[-1]) == ({"n": "int64", "s": "string"}, (24_999, "24999"))
    assert bench.run("con.execute('create table t (a int)')").results == []
    bench.run("con.close()")


def test_html_pictures_and_plain_values(bench: Bench) -> None:
    out = bench.run("""
        class Html:
            def _repr_html_(self): return "<b>x</b>"
        class Png:
            def _repr_html_(self): return None
            def _repr_png_(self): return b"png", {"width": 1}
        class Svg:
            def _repr_svg_(self): return "<svg/>"
        show(Html(), Png(), Svg())
        show(42)
        show(Html)
        Html()
    """)
    assert [each.kind for each in out.results] == ["html", "picture", "picture", "html", "text"]
    assert texts(out, 4) == ["42", "<class '__main__.Html'>"]
    assert out.whole(0).column(0).to_pylist() == ["<b>x</b>"]
    assert out.whole(1).column(0).to_pylist() == ['<img src="data:image/png;base64,cG5n">']
    assert "image/svg+xml" in out.whole(2).column(0)[0].as_py()


def test_figures_are_shown_once(bench: Bench) -> None:
    start = "import matplotlib.pyplot as plt\nfigure, axes = plt.subplots()\naxes.plot([1, 2])\n"
    for code in (
        "",
        "plt.show()",
        "figure",
        "show(figure)",
        "show.show(plt)",
        "plt.show()\nplt.show()\nfigure;",
    ):
        out = bench.run(start + code)
        assert [each.kind for each in out.results] == ["picture"], code
        assert out.whole().column(0)[0].as_py().startswith('<img src="data:image/png;base64,iVBOR')
        assert out.log == []
    out = bench.run("plt.figure()\nplt.figure()\nprint('x')\nplt.show()\nplt.figure()")
    assert [each.kind for each in out.results] == ["picture", "picture", "picture", "text"]
    assert bench.run("plt.get_fignums()").results == []


def test_figures_of_a_failing_job_are_shown(bench: Bench) -> None:
    _, out = bench.fail_with_output("import matplotlib.pyplot as plt\nplt.figure()\n1 / 0")
    assert [each.kind for each in out.results] == ["picture"]


def test_the_engine_imports_no_library_by_itself(tmp_path: Path) -> None:
    code = f"""if True:
        import sys
        sys.path.insert(0, {str(Path.cwd())!r})
        from pathlib import Path
        from tests.support.python_engine import Bench
        for name in ("pandas", "polars", "duckdb"):
            assert name not in sys.modules
        with Bench(Path({str(tmp_path)!r})) as bench:
            bench.run("import pyarrow\\nshow(pyarrow.record_batch([], names=[]))")
        seen = {{"pandas", "polars", "matplotlib", "duckdb"}} & set(sys.modules)
        assert not seen, seen
    """
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
