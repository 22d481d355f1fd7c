from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ujes.link.codec import BrokenFrame, Decoder, encode
from ujes.link.messages import Ack, Ended, FromGateway, FromHost, Lines, Run

_messages = st.lists(
    st.one_of(
        st.builds(
            Lines,
            job=st.integers(1, 2**40),
            first=st.integers(1, 10**6),
            lines=st.lists(st.text(st.characters(exclude_categories=["Cs"]))),
        ),
        st.builds(Ended, job=st.integers(1, 9), outcome=st.sampled_from(["succeed", "failed", "cancelled"])),
    ),
    max_size=8,
)


@given(_messages, st.lists(st.integers(1, 40), min_size=1))
def test_any_chunking_gives_the_same_messages(messages: list[FromHost], sizes: list[int]) -> None:
    data = b"".join(encode(message) for message in messages)
    decoder: Decoder[FromHost] = Decoder(FromHost)
    got: list[FromHost] = []
    at = turn = 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        got += decoder.feed(data[at : at + size])
        at += size
        turn += 1
    assert got == messages


@given(st.lists(st.binary(max_size=200), max_size=10))
def test_random_bytes_only_ever_break_the_frame(chunks: list[bytes]) -> None:
    decoder: Decoder[FromGateway] = Decoder(FromGateway)
    for chunk in chunks:
        with contextlib.suppress(BrokenFrame):
            decoder.feed(chunk)


@given(st.binary(min_size=1, max_size=200))
def test_a_random_body_only_ever_breaks_the_frame(body: bytes) -> None:
    decoder: Decoder[FromGateway] = Decoder(FromGateway)
    with contextlib.suppress(BrokenFrame):
        decoder.feed(len(body).to_bytes(4, "big") + body)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\0\0\0\0", "length zero"),
        (b"\xff\xff\xff\xff", "longer than"),
        (b"\0\0\0\1\xc1", "malformed"),
        (
            encode(Run(job=1, code="", run_type="", runtime={}, result_dir="", first_line=1, env={})),
            "Invalid",
        ),
        (b"\0\0\0\x05\xdd\xff\xff\xff\xff", "no message"),
        (b"\0\0\0\x04\x81\xa1t\xa1", "truncated"),
    ],
)
def test_each_way_to_break_a_frame(data: bytes, reason: str) -> None:
    decoder: Decoder[FromHost] = Decoder(FromHost)
    with pytest.raises(BrokenFrame, match=reason):
        decoder.feed(data)


def test_a_nest_ten_thousand_deep_is_broken() -> None:
    body = b"\x83\xa1t\xa6forget\xa1x" + b"\x91" * 10_000 + b"\xc0\xa3job\x01"
    with pytest.raises(BrokenFrame):
        Decoder(FromGateway).feed(len(body).to_bytes(4, "big") + body)


def test_nothing_is_read_after_a_broken_frame() -> None:
    decoder: Decoder[FromGateway] = Decoder(FromGateway)
    with pytest.raises(BrokenFrame):
        decoder.feed(b"\0\0\0\0")
    with pytest.raises(BrokenFrame):
        decoder.feed(encode(Ack(job=1, next_line=2)))


def test_too_long_a_message_is_not_even_sent() -> None:
    with pytest.raises(ValueError, match="longer"):
        encode(Lines(job=1, first=1, lines=["x" * (17 * 1024 * 1024)]))
