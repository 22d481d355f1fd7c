"""Names of jobs: what is made can be read again and fits only the job it was made for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ujes.api.linkis import execid
from ujes.core.errors import InvalidRequest
from ujes.core.job import Job, JobRequest, QueueKey

SERVICE = "linkis-cg-entrance"
ADDRESS = "127.0.0.1:9001"

names = st.text("ab_-.09Z", min_size=1, max_size=64)
any_names = st.text(min_size=1, max_size=99)
task_ids = st.integers(1, 10**18 - 1)


def job_of(creator: str = "IDE", user: str = "hadoop", engine: str = "duckdb", task_id: int = 93) -> Job:
    request = JobRequest(
        submitter=user, run_as=user, creator=creator, engine=engine, run_type="sql", code="select 1"
    )
    return Job(id=task_id, request=request, created_at_ms=0, updated_at_ms=0)


def test_the_documents_example() -> None:
    key = QueueKey(run_as="hadoop", creator="IDE", engine="hive")
    name = execid.legacy(key, 21, address="bdpdwc010004:10087")
    assert name == "030418IDEhivebdpdwc010004:10087IDE_hadoop_21"
    parsed = execid.parse(name)
    assert (parsed.form, parsed.task_id) == ("legacy", 21)
    assert parsed.names(job_of(engine="hive", task_id=21))


def test_the_modern_example() -> None:
    key = QueueKey(run_as="hadoop", creator="LINKISCLI", engine="hive")
    name = execid.modern(key, 7, service=SERVICE, address="127.0.0.1:9104")
    assert name == "exec_id018014linkis-cg-entrance127.0.0.1:9104LINKISCLI_hadoop_hive_7"


@given(any_names, any_names, any_names, task_ids)
def test_modern_round_trip(creator: str, user: str, engine: str, task_id: int) -> None:
    job = job_of(creator, user, engine, task_id)
    parsed = execid.parse(execid.modern(job.queue, task_id, service=SERVICE, address=ADDRESS))
    assert parsed.form == "modern"
    assert parsed.task_id == task_id
    assert parsed.names(job)


@given(any_names, any_names, any_names, task_ids)
def test_legacy_round_trip(creator: str, user: str, engine: str, task_id: int) -> None:
    job = job_of(creator, user, engine, task_id)
    parsed = execid.parse(execid.legacy(job.queue, task_id, address=ADDRESS))
    assert parsed.form == "legacy"
    assert parsed.task_id == task_id
    assert parsed.names(job)


@given(names, names, names, names)
def test_a_name_fits_no_other_job(creator: str, user: str, other_creator: str, other_user: str) -> None:
    job, other = job_of(creator, user), job_of(other_creator, other_user)
    legacy = execid.legacy(job.queue, job.id, address=ADDRESS)
    assert execid.parse(legacy).names(other) == ((creator, user) == (other_creator, other_user))


def test_another_engine_or_number_does_not_fit() -> None:
    job = job_of()
    for name in (
        execid.modern(job.queue, 93, service=SERVICE, address=ADDRESS),
        execid.legacy(job.queue, 93, address=ADDRESS),
        "93",
    ):
        parsed = execid.parse(name)
        assert parsed.names(job)
        assert not parsed.names(replace(job, id=94))
        assert parsed.names(job_of(engine="python")) == (name == "93")


def test_the_instance_may_differ() -> None:
    job = job_of()
    parsed = execid.parse(execid.legacy(job.queue, 93, address="elsewhere:1"))
    assert parsed.names(job)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "abc",
        "exec_id",
        "exec_id01801",
        "exec_idxxxyyyabc_1",
        "exec_id999999x_1",
        "exec_id018014linkis-cg-entrance127.0.0.1:9104",
        "exec_id018014linkis-cg-entrance127.0.0.1:9104IDE_hadoop_spark_",
        "exec_id018014linkis-cg-entrance127.0.0.1:9104IDE_hadoop_spark_x",
        "exec_id018014linkis-cg-entrance127.0.0.1:9104_1",
        "030418IDEhive",
        "030418IDEhivebdpdwc010004:10087IDE_hadoop_x",
        "030418IDEhivebdpdwc010004:10087IDE_hadoop_²",
        "1" * 19,
        "٣",
        "-1",
        "1.5",
        "x" * 5000,
    ],
)
def test_what_is_no_name_is_refused_with_a_sentence(name: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        execid.parse(name)
    assert refused.value.error_code == 0
    assert refused.value.message.endswith(".")
    assert len(refused.value.message) < 300


def test_a_last_part_without_underscore_has_its_own_number() -> None:
    with pytest.raises(InvalidRequest) as refused:
        execid.parse("exec_id018014linkis-cg-entrance127.0.0.1:9104abc")
    assert refused.value.error_code == 12011


@given(st.text())
def test_any_text_is_a_name_or_a_refusal(text: str) -> None:
    try:
        parsed = execid.parse(text)
    except InvalidRequest:
        return
    assert parsed.task_id >= 0
