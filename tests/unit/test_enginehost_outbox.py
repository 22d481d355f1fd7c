from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from ujes.enginehost.outbox import FRAME_LINES_BYTES_MAX, Outbox
from ujes.link.messages import Accepted, Ended, FromHost, Kept, Lines, Progress, Result


def _drain(outbox: Outbox) -> list[FromHost]:
    frames: list[FromHost] = []
    while (frame := outbox.next_frame()) is not None:
        frames.append(frame)
    return frames


def _result(index: int) -> Result:
    return Result(job=1, index=index, path=f"/{index}", kind="table", rows=1, columns=1, size_bytes=1)


def _outbox(size_bytes_max: int = 1 << 20) -> Outbox:
    return Outbox(lambda: None, size_bytes_max)


def test_a_job_is_told_in_the_order_in_which_it_happened() -> None:
    outbox = _outbox()
    outbox.begin(1, 5)
    outbox.add_lines(1, ["a", "b"])
    outbox.add_result(_result(0))
    outbox.add_lines(1, ["c"])
    outbox.end(Ended(job=1, outcome="succeed"))
    assert _drain(outbox) == [
        Accepted(job=1),
        Lines(job=1, first=5, lines=["a", "b"]),
        _result(0),
        Lines(job=1, first=7, lines=["c"]),
        Ended(job=1, outcome="succeed"),
    ]


def test_a_new_connection_hears_again_what_was_not_kept() -> None:
    outbox = _outbox()
    outbox.begin(1, 1)
    outbox.add_lines(1, ["a", "b", "c"])
    outbox.add_result(_result(0))
    _drain(outbox)
    outbox.reconnect([Kept(job=1, next_line=3)], [])
    assert _drain(outbox) == [Accepted(job=1), Lines(job=1, first=3, lines=["c"]), _result(0)]


def test_a_forgotten_job_is_told_no_more() -> None:
    outbox = _outbox()
    for job in (1, 2):
        outbox.begin(job, 1)
        outbox.end(Ended(job=job, outcome="succeed"))
    outbox.reconnect([], [1])
    outbox.forget(2)
    assert _drain(outbox) == []
    assert outbox.jobs() == []


def test_frames_of_lines_are_bounded() -> None:
    outbox = _outbox()
    outbox.begin(1, 1)
    outbox.add_lines(1, ["x" * 1000] * 800)
    lines = [frame for frame in _drain(outbox) if isinstance(frame, Lines)]
    assert sum(len(frame.lines) for frame in lines) == 800
    assert all(sum(map(len, frame.lines)) <= FRAME_LINES_BYTES_MAX for frame in lines)


def test_only_the_newest_progress_is_told() -> None:
    outbox = _outbox()
    outbox.begin(1, 1)
    for value in (0.1, 0.2):
        outbox.add_progress(Progress(job=1, value=value))
    assert _drain(outbox) == [Accepted(job=1), Progress(job=1, value=0.2)]


def test_who_writes_into_a_full_outbox_waits_for_an_ack() -> None:
    outbox = _outbox(size_bytes_max=1000)
    outbox.begin(1, 1)
    waits = threading.Event()
    writer = threading.Thread(target=lambda: (outbox.add_lines(1, ["x" * 100] * 6), waits.set()))
    writer.start()
    told = 1
    while told < 7:
        for frame in _drain(outbox):
            if isinstance(frame, Lines):
                told += len(frame.lines)
        outbox.acknowledge(1, told)
    writer.join(30)
    assert waits.is_set()


def test_a_job_that_is_cancelled_waits_no_more() -> None:
    woken = threading.Event()
    outbox = Outbox(woken.set, 1000)
    outbox.begin(1, 1)
    woken.clear()
    writer = threading.Thread(target=outbox.add_lines, args=(1, ["x" * 500] * 100))
    writer.start()
    assert woken.wait(30)
    outbox.hurry(1)
    writer.join(30)
    assert not writer.is_alive()


@given(st.lists(st.sampled_from(["line", "send", "ack", "lose", "keep", "result"]), max_size=60))
def test_whatever_is_lost_every_line_arrives_once_and_in_order(steps: list[str]) -> None:
    outbox = _outbox()
    outbox.begin(1, 1)
    kept: list[str] = []
    results: dict[int, Result] = {}
    written = made = 0

    def take(frame: FromHost | None) -> None:
        if isinstance(frame, Lines):
            assert frame.first <= len(kept) + 1
            kept.extend(frame.lines[len(kept) + 1 - frame.first :])
        if isinstance(frame, Result):
            results[frame.index] = frame

    for step in steps:
        match step:
            case "line":
                written += 1
                outbox.add_lines(1, [f"{written}"])
            case "result":
                outbox.add_result(_result(made))
                made += 1
            case "send":
                take(outbox.next_frame())
            case "ack":
                outbox.acknowledge(1, len(kept) + 1)
            case "lose":
                outbox.next_frame()
                outbox.reconnect([Kept(job=1, next_line=len(kept) + 1)], [])
            case _:
                outbox.reconnect([Kept(job=1, next_line=len(kept) + 1)], [])
    outbox.reconnect([Kept(job=1, next_line=len(kept) + 1)], [])
    for frame in _drain(outbox):
        take(frame)
    assert kept == [f"{number}" for number in range(1, written + 1)]
    assert sorted(results) == list(range(made))
