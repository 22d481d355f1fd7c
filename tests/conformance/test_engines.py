"""What every engine must do, whatever it runs. A new engine joins by a `Sample`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ujes.engines.engine import Engine, EngineError, Interrupted, Place
from ujes.engines.registry import EngineRegistry
from ujes.testing.output import RecordingOutput


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Code of one engine, by what it does."""

    #: gives one result set with one cell, `42`
    answer: str
    #: fails as user's code fails
    failing: str
    #: runs for minutes
    endless: str
    #: says nothing and gives no result set
    silent: str
    #: remembers something, and gives it back as `answer` does; None for engines without a session
    remember: str | None = None
    recall: str | None = None


SAMPLES = {
    "duckdb": Sample(
        answer="select 42",
        failing="select * from no_such_table",
        endless="select count(*) from range(1_000_000) a, range(1_000_000) b where a.range + b.range = 5",
        silent="create or replace temp table t as select 42 as i",
        remember="create or replace temp table kept as select 42 as i",
        recall="from kept",
    ),
    "shell": Sample(answer="echo 42", failing="exit 1", endless="sleep 600 & wait", silent="true"),
}
REGISTRY = EngineRegistry()


@pytest.fixture(params=sorted(SAMPLES))
def name(request: pytest.FixtureRequest) -> str:
    engine: str = request.param
    return engine


@pytest.fixture
def sample(name: str) -> Sample:
    return SAMPLES[name]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    work, root = tmp_path / "work", tmp_path / "root"
    work.mkdir()
    root.mkdir()
    return Place(tag="engine-1", user="ann", work_dir=work, roots=(root,))


@pytest.fixture
def made(name: str, place: Place) -> Engine:
    kind = REGISTRY.get(name)
    return kind(kind.options_class(), place)


@pytest.fixture
def engine(made: Engine) -> Iterator[Engine]:
    made.open()
    yield made
    made.close()


@pytest.fixture
def out(tmp_path: Path) -> RecordingOutput:
    return RecordingOutput(tmp_path / "results")


def run(engine: Engine, code: str, out: RecordingOutput) -> None:
    for statement in engine.split(code):
        engine.run(statement, out)


def answers(out: RecordingOutput) -> list[str]:
    return [str(cell) for at in range(len(out.results)) for cell in out.whole(at).column(0).to_pylist()]


def interrupted_soon(engine: Engine, code: str, out: RecordingOutput) -> None:
    """Run `code` and interrupt it again and again until it ends: the first may come before it began."""
    over = threading.Event()

    def interrupt() -> None:
        while not over.wait(0.02):
            engine.interrupt()

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        run(engine, code, out)
    finally:
        over.set()
        thread.join()


def test_every_engine_has_a_sample() -> None:
    assert set(SAMPLES) <= set(REGISTRY.names())


def test_it_says_what_it_is(name: str) -> None:
    kind = REGISTRY.get(name)
    assert kind.name == name
    assert kind.run_types
    assert all(run_type == run_type.lower() for run_type in kind.run_types)
    assert kind.summary.endswith(".")
    assert REGISTRY.missing(name) is None


def test_it_opens_with_a_banner_and_closes(made: Engine) -> None:
    assert made.open()
    made.close()


def test_it_closes_without_having_been_opened(made: Engine) -> None:
    made.close()


def test_it_opens_again_elsewhere(made: Engine, place: Place, out: RecordingOutput, sample: Sample) -> None:
    made.open()
    made.close()
    other = type(made)(made.options, place)
    other.open()
    try:
        run(other, sample.answer, out)
    finally:
        other.close()
    assert answers(out) == ["42"]


def test_it_answers(engine: Engine, sample: Sample, out: RecordingOutput) -> None:
    run(engine, sample.answer, out)
    run(engine, sample.answer, out)
    assert answers(out) == ["42", "42"]
    assert [file.index for file in out.results] == [0, 1]


def test_nothing_said_is_no_result(engine: Engine, sample: Sample, out: RecordingOutput) -> None:
    run(engine, sample.silent, out)
    assert out.results == []


@pytest.mark.parametrize("code", ["", " \n\t "])
def test_empty_code_does_nothing(engine: Engine, out: RecordingOutput, code: str) -> None:
    run(engine, code, out)
    assert out.results == []


def test_a_failure_is_told_and_the_engine_lives_on(
    engine: Engine, sample: Sample, out: RecordingOutput
) -> None:
    with pytest.raises(EngineError) as caught:
        run(engine, sample.failing, out)
    assert caught.value.text
    assert caught.value.code > 0
    run(engine, sample.answer, out)
    assert answers(out) == ["42"]


def test_an_interrupt_ends_a_run_and_the_engine_lives_on(
    engine: Engine, sample: Sample, out: RecordingOutput
) -> None:
    with pytest.raises(Interrupted):
        interrupted_soon(engine, sample.endless, out)
    engine.interrupt()
    run(engine, sample.answer, out)
    assert answers(out) == ["42"]


def test_an_interrupt_without_a_run_does_nothing(
    engine: Engine, sample: Sample, out: RecordingOutput
) -> None:
    engine.interrupt()
    engine.interrupt()
    run(engine, sample.answer, out)
    assert answers(out) == ["42"]


def test_progress_is_a_part_of_the_whole(engine: Engine) -> None:
    assert engine.progress() is None or 0 <= (engine.progress() or 0) <= 1
    assert list(engine.stages()) == []


def test_a_session_is_kept_if_it_says_so(engine: Engine, sample: Sample, out: RecordingOutput) -> None:
    assert engine.capabilities.keeps_session == (sample.remember is not None)
    if sample.remember is None or sample.recall is None:
        return
    run(engine, sample.remember, out)
    run(engine, sample.recall, out)
    assert answers(out) == ["42"]
