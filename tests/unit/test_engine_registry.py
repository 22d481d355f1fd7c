"""Engines by name, and their options as text."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import ClassVar

import pytest

from ujes.core.errors import InvalidRequest, UnknownEngine
from ujes.engines import registry as registry_module
from ujes.engines.engine import Options, option
from ujes.engines.options import BadOption, Seconds, SizeBytes, options_from
from ujes.engines.registry import EngineRegistry


class NeedsMuch:
    name = "needy"
    run_types: ClassVar[tuple[str, ...]] = ("x",)
    needs = ("json", "no_such_library_here")


@pytest.fixture
def doors(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = EntryPoint("shell", "ujes.engines.shell:Shell", registry_module.GROUP)
    needy = EntryPoint("needy", f"{__name__}:NeedsMuch", registry_module.GROUP)
    broken = EntryPoint("broken", "no_such_module_here:Engine", registry_module.GROUP)
    monkeypatch.setattr(EntryPoint, "load", lambda door: NeedsMuch if door is needy else _load(door))
    monkeypatch.setattr(registry_module, "entry_points", lambda group: [shell, needy, broken])


_load = EntryPoint.load


def test_built_in_engines_come_in_by_the_same_door() -> None:
    assert {"duckdb", "shell"} <= set(EngineRegistry().names())


def test_nothing_is_imported_before_it_is_asked_for() -> None:
    code = (
        "import sys; from ujes.engines.registry import EngineRegistry; "
        "EngineRegistry().resolve('duckdb', 'sql'); "
        "print({'duckdb', 'pyarrow', 'psutil'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.usefixtures("doors")
def test_an_unknown_engine_is_refused_with_what_there_is() -> None:
    with pytest.raises(
        UnknownEngine, match=r"no engine 'spark' here\. .* run types: shell \(shell, sh\)\."
    ) as caught:
        EngineRegistry().resolve("spark", "sql")
    assert caught.value.error_code == 20009


@pytest.mark.usefixtures("doors")
def test_what_is_missing_is_named() -> None:
    with pytest.raises(
        UnknownEngine, match="needy cannot run here: it needs the Python package no_such_library_here"
    ):
        EngineRegistry().resolve("needy", "x")
    with pytest.raises(UnknownEngine, match="broken cannot run here: its code cannot be loaded"):
        EngineRegistry().resolve("broken", "x")
    assert EngineRegistry(elsewhere={"needy"}).resolve("needy", "X") == "x"


@pytest.mark.usefixtures("doors")
def test_run_types_are_told_in_any_case() -> None:
    assert EngineRegistry().resolve("shell", " SH ") == "sh"
    with pytest.raises(InvalidRequest, match=r"does not run 'sql'\. Its run types: shell, sh\."):
        EngineRegistry().resolve("shell", "sql")


@dataclass(frozen=True, kw_only=True)
class Sample(Options):
    size: SizeBytes = option(SizeBytes(1), "", key="engine.size")
    wait: Seconds = option(Seconds(1.0), "", key="engine.wait")
    threads: int = option(2, "")
    share: float = option(0.5, "")
    is_on: bool = option(False, "")
    word: str = option("w", "")


def test_options_are_read_by_their_types() -> None:
    given = {
        "engine.size": "1.5g",
        "engine.wait": "15m",
        "threads": "4",
        "share": "1",
        "is_on": "True",
        "other": "?",
    }
    assert options_from(Sample, given) == Sample(
        size=SizeBytes(3 * 512 * 1024**2), wait=Seconds(900.0), threads=4, share=1.0, is_on=True
    )
    assert options_from(Sample, {"threads": " ", "engine.size": "512MB"}) == Sample(
        size=SizeBytes(512 * 1024**2)
    )


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("engine.size", "much"),
        ("engine.size", "1x"),
        ("engine.wait", "soon"),
        ("threads", "1.5"),
        ("is_on", "maybe"),
    ],
)
def test_a_bad_option_is_a_sentence(key: str, text: str) -> None:
    with pytest.raises(BadOption, match=rf"^The option {key} cannot be '{text}'\. Write .*\.$"):
        options_from(Sample, {key: text})
