"""Spellings of addresses, and queries."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ujes.api.linkis.url import UnsupportedVersion, canonical, number, query
from ujes.core.errors import InvalidRequest


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/rest_j/v1/entrance/submit", "/api/rest_j/v1/entrance/submit"),
        ("/api/rest_s/v1/entrance/submit", "/api/rest_j/v1/entrance/submit"),
        ("/api/rest_j/entrance/submit", "/api/rest_j/v1/entrance/submit"),
        ("//api///rest_s//entrance/submit//", "/api/rest_j/v1/entrance/submit"),
        ("/api/rest_j", "/api/rest_j/v1/"),
        ("/api/rest_x/v1/a", "/api/rest_x/v1/a"),
        ("/api/rest_j/v1x/a", "/api/rest_j/v1/v1x/a"),
        ("/healthz/", "/healthz"),
        ("", "/"),
        ("/", "/"),
        ("////", "/"),
    ],
)
def test_one_spelling(path: str, expected: str) -> None:
    assert canonical(path) == expected
    if path.strip("/"):
        assert canonical(expected) == expected.rstrip("/") or canonical(expected) == expected


def test_other_versions() -> None:
    with pytest.raises(UnsupportedVersion):
        canonical("/api/rest_j/v2/a")


@given(st.dictionaries(st.text(min_size=1), st.text()))
def test_queries_are_read_as_they_were_written(params: dict[str, str]) -> None:
    assert query(urlencode(params).encode()) == params


@given(st.text("ab=&%+1.", max_size=20))
def test_the_short_way_reads_the_same(text: str) -> None:
    assert query(text.encode()) == dict(reversed(parse_qsl(text, keep_blank_values=True)))


def test_numbers() -> None:
    assert number({"a": " -5 "}, "a", 1) == -5
    assert number({"a": ""}, "a", 1) == number({}, "a", 1) == 1
    for text in ("x", "1.0", "0x1", "1_000", "²", "9" * 19):
        with pytest.raises(InvalidRequest):
            number({"a": text}, "a", 1)
