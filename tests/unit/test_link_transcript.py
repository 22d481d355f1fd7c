from __future__ import annotations

from pathlib import Path

import pytest

from ujes.link.codec import BrokenFrame, encode
from ujes.link.messages import Accepted, Ack, FromGateway, FromHost
from ujes.link.transcript import Recorder, messages, pieces, replay


def test_a_recording_plays_each_side_back(tmp_path: Path) -> None:
    path = tmp_path / "talk"
    times = iter([10.0, 10.5, 11.0, 11.5])
    said = encode(Accepted(job=1))
    with Recorder(path, lambda: next(times)) as recorder:
        recorder.add("to_gateway", said[:3])
        recorder.add("to_host", encode(Ack(job=1, next_line=5)))
        recorder.add("to_gateway", said[3:])
    assert [piece.at_s for piece in pieces(path)] == [0.5, 1.0, 1.5]
    assert list(messages(path, "to_gateway", FromHost)) == [Accepted(job=1)]
    assert list(messages(path, "to_host", FromGateway)) == [Ack(job=1, next_line=5)]
    played = bytearray()
    replay(path, "to_gateway", played.extend)
    assert played == said


def test_a_torn_end_is_left_out_and_a_broken_frame_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "talk"
    with Recorder(path) as recorder:
        recorder.add("to_gateway", b"\0\0\0\0")
        recorder.add("to_gateway", b"lost")
    path.write_bytes(path.read_bytes()[:-2])
    assert [piece.data for piece in pieces(path)] == [b"\0\0\0\0"]
    with pytest.raises(BrokenFrame):
        list(messages(path, "to_gateway", FromHost))
