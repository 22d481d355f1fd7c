"""Paths clients write, and whose they are."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ujes.core.errors import UserMistake
from ujes.gateway.files.paths import log_job_id, parse, result_job_id

ROOT = Path("/h/results")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("file:///a/b", "/a/b"),
        ("FILE:///a/b", "/a/b"),
        ("file:/a/b", "/a/b"),
        ("file://localhost/a/b", "/a/b"),
        ("/a//b/", "/a/b"),
        (" file:////a/./b ", "/a/b"),
        ("/a/%2e%2e/b", "/a/%2e%2e/b"),
        ("/a/..b/b..", "/a/..b/b.."),
        ("/", "/"),
    ],
)
def test_paths_as_they_are_written(text: str, path: str) -> None:
    assert parse(text) == Path(path)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", 80004),
        ("  ", 80004),
        ("a/b", 80010),
        ("file:a", 80010),
        ("file://host/a", 80010),
        ("file://", 80010),
        ("hdfs:///a", 80010),
        ("/a/../b", 80010),
        ("/..", 80010),
        ("/a\0b", 80010),
        ("/" + "x" * 256, 80010),
        ("/" + "ü" * 128, 80010),
        ("/x" * 2049, 80010),
    ],
)
def test_paths_that_are_refused(text: str, code: int) -> None:
    with pytest.raises(UserMistake) as refused:
        parse(text)
    assert refused.value.error_code == code


@given(st.lists(st.sampled_from(["/", "..", ".", "a", "file:", "//", "%2e"]), max_size=8))
def test_no_path_climbs(parts: list[str]) -> None:
    try:
        path = parse("".join(parts))
    except UserMistake:
        return
    assert path.is_absolute()
    assert ".." not in path.parts


def test_whose_results_and_logs() -> None:
    folder = ROOT / "2026-01-01" / "IDE" / "hadoop"
    assert result_job_id(folder / "12", ROOT) == 12
    assert result_job_id(folder / "12" / "_0.arrow", ROOT) == 12
    assert log_job_id(folder / "12.log", ROOT) == 12
    strangers = [folder, ROOT, Path("/h"), Path("/h/resultsx/a/b/c/12"), folder / "x", folder / ("9" * 19)]
    for path, whose in itertools.product(strangers, (result_job_id, log_job_id)):
        assert whose(path, ROOT) is None
    assert log_job_id(folder / "12", ROOT) is None
    assert log_job_id(folder / "12.log" / "x.log", ROOT) is None
