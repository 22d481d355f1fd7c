"""Request bodies: whatever the bytes are, the answer is an object or a sentence."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ujes.api.linkis.body import decode, is_deeper_than, unwrap
from ujes.core.errors import InvalidRequest

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def depth_of(value: object) -> int:
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    return 0


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b" \n\t ", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"{", "not JSON"),
        (b"{} {}", "not JSON"),
        (b"<html>", "not JSON"),
        (b"NaN", "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b'{"a": 1, // a comment\n "b": 2}', "not JSON"),
        (b"[]", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b"12", "must be a JSON object"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"a": "\\udc00 and more text"}', "surrogate"),
        (b'{"a": "\\ud800\\ud800 and more"}', "surrogate"),
        (b'{"a": "\x00"}', "NUL"),
        (b'{"a": ["x", {"b": "\\u0000"}]}', "NUL"),
        (b'{"a\\u0000": 1}', "NUL"),
        (b"[" * 10_000, "levels deep"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "levels deep"),
    ],
)
def test_wrong_bodies_are_refused_with_a_sentence(body: bytes, words: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        decode(body, 64)
    assert words in refused.value.message
    assert refused.value.message.endswith(".")


def test_a_byte_order_mark_is_tolerated() -> None:
    assert decode(b'\xef\xbb\xbf{"a": 1}', 64) == {"a": 1}


def test_an_escaped_backslash_before_u0000_is_no_nul() -> None:
    assert decode(b'{"a": "\\\\u0000"}', 64) == {"a": "\\u0000"}


def test_surrogate_pairs_are_characters() -> None:
    assert decode(b'{"a": "\\ud83d\\ude00"}', 64) == {"a": "😀"}


@given(json_values, st.integers(1, 6))
def test_depth_is_measured_right(value: object, depth_max: int) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
        assert is_deeper_than(text.encode(), depth_max) == (depth_of(value) > depth_max)


def test_brackets_in_texts_do_not_count() -> None:
    assert not is_deeper_than(json.dumps({"a": '[[[["\\[[[[' * 50}).encode(), 1)


def test_quotes_without_end_take_no_longer_than_others() -> None:
    # Every byte is looked at once: with a backtracking pattern this would not come back.
    assert not is_deeper_than(b'"' + b'\\"' * 1_000_000 + b"[" * 100, 64)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_a_sentence(body: bytes) -> None:
    try:
        sentence = f"{len(decode(body, 8))} members."
    except InvalidRequest as refused:
        sentence = refused.message
    assert sentence.endswith(".")


@given(st.dictionaries(st.text(), json_values))
def test_any_object_is_read_as_it_is(value: dict[str, object]) -> None:
    text = json.dumps(value)
    if "\\u0000" not in text and "\\ud" not in text and depth_of(value) <= 64:
        assert decode(text.encode(), 64) == json.loads(text)


@pytest.mark.parametrize(
    ("body", "payload"),
    [
        ({"executionCode": "x"}, {"executionCode": "x"}),
        ({"method": "/m", "data": {"executionCode": "x"}}, {"executionCode": "x"}),
        ({"data": {"executionContent": {}}, "websocketTag": "t"}, {"executionContent": {}}),
        (
            {"executionCode": "x", "data": {"executionCode": "y"}},
            {"executionCode": "x", "data": {"executionCode": "y"}},
        ),
        ({"data": "x"}, {"data": "x"}),
        ({"data": None}, {"data": None}),
        ({}, {}),
    ],
)
def test_wrapped_and_flat(body: dict[str, object], payload: dict[str, object]) -> None:
    assert unwrap(body) == payload
