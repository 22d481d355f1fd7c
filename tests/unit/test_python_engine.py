"""The python engine: running code, its namespace, its failures."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.python_engine import Bench, texts
from ujes.engines.engine import EngineError


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Bench(tmp_path) as opened:
        yield opened


def test_banner_names_the_python_and_the_root(bench: Bench) -> None:
    assert bench.banner.startswith("Python 3.")
    assert str(bench.root) in bench.banner


def test_names_live_from_job_to_job(bench: Bench) -> None:
    bench.run("x = 20\ndef double(n):\n    return 2 * n")
    assert texts(bench.run("print(double(x) + 2)")) == ["42"]


def test_a_plain_last_expression_prints_nothing_unless_asked(bench: Bench) -> None:
    assert bench.run("40 + 2").results == []
    assert texts(bench.run("40 + 2", python_print_last="true")) == ["42"]
    assert bench.run("None", python_print_last="true").results == []


def test_a_senseless_option_is_refused_with_a_sentence(bench: Bench) -> None:
    with pytest.raises(EngineError, match=r"python\.print\.last cannot be 'perhaps'"):
        bench.run("1", python_print_last="perhaps")


def test_lines_that_look_empty_are_kept(bench: Bench) -> None:
    assert texts(bench.run('print("""a\n\n# no comment\nb""")')) == ["a", "", "# no comment", "b"]


def test_code_runs_as_main_in_the_work_folder_with_the_users_modules(bench: Bench) -> None:
    (bench.root / "own_module_of_test.py").write_text("answer = 42\n")
    out = bench.run("""
        import os, own_module_of_test
        print(__name__, os.getcwd(), own_module_of_test.answer)
    """)
    assert texts(out) == [f"__main__ {bench.work_dir} 42"]
    bench.run("import sys; del sys.modules['own_module_of_test']")


def test_classes_can_be_pickled_inspected_and_hinted(bench: Bench) -> None:
    bench.run("""
        import dataclasses
        @dataclasses.dataclass
        class Point:
            x: "int"
        def twice(n):
            return 2 * n
    """)
    out = bench.run("""
        import pickle, inspect, typing
        print(pickle.loads(pickle.dumps(Point(3))), typing.get_type_hints(Point))
        print(inspect.getsource(twice), end="")
    """)
    assert texts(out) == ["Point(x=3) {'x': <class 'int'>}", "def twice(n):", "    return 2 * n"]


def test_top_level_await(bench: Bench) -> None:
    out = bench.run("""
        import asyncio
        async def later():
            await asyncio.sleep(0)
            return 5
        print(await later())
    """)
    assert texts(out) == ["5"]


def test_future_imports_hold_for_the_last_line_and_not_for_our_own_code(bench: Bench) -> None:
    assert texts(
        bench.run("from __future__ import annotations\ndef f(a: b): ...\nprint(f.__annotations__)")
    ) == ["{'a': 'b'}"]
    assert "NameError" in bench.fail("def f(a: b): ...").text


def test_overwritten_names_break_nothing(bench: Bench) -> None:
    bench.run("print = show = printlog = 3\nimport sys\nsys.stdout = None\ndel show")
    assert texts(bench.run("del print\nprint('well')")) == ["well"]
    bench.run("import sys; sys.stdout.close(); sys.stderr.close()")
    assert texts(bench.run("print('again')")) == ["again"]


def test_input_finds_the_end_of_the_file(bench: Bench) -> None:
    assert bench.fail("input('name? ')").text.startswith("EOFError")


def test_an_error_says_its_cause_line_and_traceback(bench: Bench) -> None:
    error, out = bench.fail_with_output(
        "# one\n\n\ndef f():\n    1 / 0\n\nprint('before')\nf()\nprint('after')"
    )
    assert error.code == 60002
    first, rest = error.text.split("\n", 1)
    assert first == "ZeroDivisionError: division by zero (line 5)"
    assert rest.startswith("Traceback (most recent call last):\n")
    assert ", line 8, in <module>\n    f()" in rest
    assert ", line 5, in f\n    1 / 0" in rest
    assert "ujes" not in rest
    assert texts(out) == ["before"]
    assert out.said("ERROR") == [rest.rstrip("\n")]


def test_a_syntax_error_shows_the_place(bench: Bench) -> None:
    text = bench.fail("x = 1\ny = (1,,2)\n").text
    assert text.startswith("SyntaxError: invalid syntax (line 2)\n")
    assert "y = (1,,2)\n           ^\n" in text


def test_chained_errors_say_both(bench: Bench) -> None:
    text = bench.fail("""
        try:
            {}["key"]
        except KeyError as error:
            raise ValueError("bad row") from error
    """).text
    assert text.startswith("ValueError: bad row (line 5), caused by KeyError: 'key' (line 3)\n")
    assert "direct cause" in text


def test_error_groups(bench: Bench) -> None:
    text = bench.fail("raise ExceptionGroup('two', [ValueError(1), TypeError(2)])").text
    assert text.startswith("ExceptionGroup: two (2 sub-exceptions) (line 1)")
    assert "TypeError: 2" in text


@pytest.mark.parametrize(
    ("code", "start"),
    [
        ("import sys; sys.exit(3)", "SystemExit: 3 (line 1)"),
        ("exit_ = SystemExit(); raise exit_", "SystemExit (line 1)"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt (line 1)"),
        ("def f(): f()\nf()", "RecursionError: maximum recursion depth exceeded"),
        ("bytearray(1 << 62)", "MemoryError (line 1)"),
        ("x = 'a\0b'", "SyntaxError: source code"),
        ("raise ValueError('x' * 100_000)", "ValueError: xxx"),
        (
            "class E(Exception):\n    def __str__(self): 1 / 0\nraise E",
            "E: <its text could not be made> (line 3)",
        ),
        ("class E(Exception):\n    def __str__(self): raise SystemExit\nraise E", "E"),
        ("(" * 5000 + ")" * 5000, ""),
        ("x = '\ud800", "UnicodeEncodeError"),
    ],
)
def test_every_way_to_fail_is_told(bench: Bench, code: str, start: str) -> None:
    error = bench.fail(code)
    assert error.code == 60002
    assert error.text.startswith(start)
    assert len(error.text) <= 16 * 1024
    assert texts(bench.run("print('alive')")) == ["alive"]


def test_a_failing_repr_html_shows_no_frame_of_ours(bench: Bench) -> None:
    text = bench.fail("""
        class Bad:
            def _repr_html_(self):
                return 1 / 0
        show(Bad())
    """).text
    assert text.startswith("ZeroDivisionError: division by zero (line 4)")
    assert "ujes" not in text


def test_a_forked_child_ends_where_the_code_ends(bench: Bench) -> None:
    out = bench.run("""
        import os
        pid = os.fork()
        if pid:
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        else:
            raise ValueError("in the child")
    """)
    assert texts(out) == ["1"]
    assert any("in the child" in line for line in out.lines)


def test_signal_handlers_and_alarms_last_until_the_end_of_the_job(bench: Bench) -> None:
    before = signal.getsignal(signal.SIGINT)
    bench.run("""
        import signal
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: None)
        signal.alarm(1000)
    """)
    assert signal.getsignal(signal.SIGINT) is before
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.alarm(0) == 0
