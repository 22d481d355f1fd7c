"""Scripts and the parameters in their leading lines."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ujes.api.linkis.script import SUFFIXES, read

NO_VALUES: dict[str, Any] = {"startup": {}, "runtime": {}, "special": {}}


@pytest.mark.parametrize(
    ("suffix", "text", "variables", "configuration", "code"),
    [
        ("sql", "--@set a=1\n--\nselect 1\n", {"a": "1"}, NO_VALUES, "select 1\n"),
        ("hql", "--@set a = b = c\nselect 1", {"a": "b = c"}, NO_VALUES, "select 1\n"),
        ("py", "#@set a=1\n#@set b=\nprint(1)", {"a": "1", "b": ""}, NO_VALUES, "print(1)\n"),
        ("sh", "#conf@set spark startup k.v=2g\n#\nls", {}, NO_VALUES | {"startup": {"k.v": "2g"}}, "ls\n"),
        ("scala", "//conf@set spark odd k=v\n1", {}, NO_VALUES | {"spark": {"odd": {"k": "v"}}}, "1\n"),
    ],
)
def test_parameters(suffix: str, text: str, variables: Any, configuration: Any, code: str) -> None:
    script = read(text, suffix)
    assert script.metadata == {"variable": variables, "configuration": configuration}
    assert (script.code, script.lines) == (code, code.count("\n"))


@pytest.mark.parametrize(
    ("suffix", "text", "code"),
    [
        ("sql", "", ""),
        ("sql", "-- a comment\nselect 1\r\n", "-- a comment\nselect 1\n"),
        ("sql", "select 1\n--@set late=1\n", "select 1\n--@set late=1\n"),
        ("txt", "--@set a=1\n", "--@set a=1\n"),
        ("py", "--@set a=1\n", "--@set a=1\n"),
        ("sql", "\n\n", "\n\n"),
    ],
)
def test_without_parameters(suffix: str, text: str, code: str) -> None:
    script = read(text, suffix)
    assert (script.metadata, script.code, script.lines) == ({}, code, code.count("\n"))


def test_a_kind_of_configuration_is_not_overwritten() -> None:
    script = read("--conf@set x runtime b=v\n--conf@set runtime b c=d\nselect 1", "sql")
    assert script.metadata["configuration"]["runtime"] == {"b": "v"}
    assert script.code.startswith("--conf@set runtime b c=d\n")


@given(st.text(), st.sampled_from(sorted(SUFFIXES)))
def test_any_text_is_a_script(text: str, suffix: str) -> None:
    assert read(text, suffix).code.endswith("\n") or not read(text, suffix).code
