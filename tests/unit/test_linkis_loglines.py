"""Log lines by level."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ujes.api.linkis.loglines import by_level, by_level_of_file, level_of


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("2026-01-01 10:00:00.001 INFO x", "INFO"),
        ("2026/01/01 10:00:00 WARN x", "WARN"),
        ("2026-01-01 10:00:00.001 SYSTEM-ERROR x", "ERROR"),
        ("2026-01-01 10:00:00.001  ERROR", "ERROR"),
        ("2026-01-01 10:00:00.001 INFORMAL x", None),
        ("ERROR x", None),
        ("said 2026-01-01 10:00:00.001 ERROR x", None),
        ("", None),
    ],
)
def test_the_level_is_in_the_header(line: str, level: str | None) -> None:
    assert level_of(line) == level


words = st.sampled_from(["INFO", "WARN", "ERROR", "SYSTEM-WARN"])
lines = st.lists(
    words.map(lambda word: f"2026-01-01 10:00:00.001 {word} x") | st.text("ab\u2028\x0b", min_size=1)
)


@given(lines)
def test_the_levels_sum_up_to_all(content: list[str]) -> None:
    *levels, every = by_level(content)
    shown = [line for line in content if line.strip()]
    assert every == "\n".join(shown)
    assert sorted(line for text in levels if text for line in text.split("\n")) == sorted(shown)


@given(lines)
def test_a_file_is_shown_whole(content: list[str]) -> None:
    text = "".join(f"{line}\n" for line in content)
    assert by_level_of_file(text)[3] == text
