"""`ujes submit`, `status`, `log`, `kill`, `jobs`."""

from __future__ import annotations

import sys
import textwrap
import time
from datetime import datetime

import click
import msgspec

from ujes.cli.code import CodeOptions, code_options
from ujes.cli.connect import ConnectionOptions, connection_options
from ujes.cli.failure import Failure
from ujes.cli.follow import LogReader
from ujes.cli.live import coloured_state, seconds
from ujes.cli.run import connected
from ujes.cli.table import draw
from ujes.client import Client
from ujes.client.requests import poll_delays_s
from ujes.client.values import Column, Job

STATES = ("Inited", "Scheduled", "Running", "Succeed", "Failed", "Cancelled", "Timeout")

#: of code, and of an error, in a list
CODE_CHARS_MAX = 120

job_id = click.argument("job_id", metavar="ID", type=click.IntRange(min=1))


@click.command()
@code_options
@connection_options
def submit(*, connection: ConnectionOptions, code: CodeOptions) -> None:
    """Submit code and print the job's number, which the other commands take."""
    with connected(connection.target) as client:
        click.echo(client.submit(code.spec).id)


@click.command()
@job_id
@click.option("--json", "as_json", is_flag=True, help="Everything, for programs.")
@connection_options
def status(*, connection: ConnectionOptions, job_id: int, as_json: bool) -> None:
    """Show the state of a job."""
    with connected(connection.target) as client:
        job = client.job(job_id)
    if as_json:
        click.echo(msgspec.json.encode(job).decode())
        return
    click.echo(coloured_state(job.state), nl=False)
    click.echo(f"  job {job.id}, {job.engine} {job.run_type}, {job.progress:.0%}, {_took(job)}")
    if job.error:
        click.echo(job.error)


@click.command()
@job_id
@click.option("-f", "--follow", is_flag=True, help="Go on until the job has ended.")
@connection_options
def log(*, connection: ConnectionOptions, job_id: int, follow: bool) -> None:
    """Show the log of a job."""
    with connected(connection.target) as client:
        job = client.job(job_id)
        reader = LogReader(client, _name(job), click.echo)
        reader.read(job)
        try:
            _follow_log(client, reader, job) if follow else None
        except KeyboardInterrupt:
            sys.exit(130)


def _follow_log(client: Client, reader: LogReader, job: Job) -> None:
    for delay_s in poll_delays_s():
        reader.read(job)
        if job.is_final:
            return
        time.sleep(delay_s)  # the wire has nothing to wait on but asking again
        job = client.job(job.id)


@click.command()
@click.argument("job_ids", metavar="ID...", type=click.IntRange(min=1), nargs=-1, required=True)
@connection_options
def kill(*, connection: ConnectionOptions, job_ids: tuple[int, ...]) -> None:
    """Kill jobs."""
    failures = []
    with connected(connection.target) as client:
        for number in job_ids:
            job = client.job(number)
            if job.is_final:
                failures.append(f"Job {number} has ended already: {job.state}.")
                continue
            client.kill(_name(job), number)
            click.echo(f"Job {number} is being killed.")
    if failures:
        raise Failure("\n".join(failures))


@click.command()
@click.option("--state", "states", type=click.Choice(STATES), multiple=True, help="Only jobs in this state.")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many.")
@click.option(
    "--page", type=click.IntRange(min=1), default=1, show_default=True, help="Which page of that many."
)
@click.option("--json", "as_json", is_flag=True, help="A line each, for programs.")
@connection_options
def jobs(
    *, connection: ConnectionOptions, states: tuple[str, ...], limit: int, page: int, as_json: bool
) -> None:
    """List your jobs, newest first."""
    with connected(connection.target) as client:
        found = client.jobs(states=states, page=page, page_size=limit)
    if as_json:
        for job in found.jobs:
            click.echo(msgspec.json.encode(job).decode())
        return
    if not found.jobs:
        click.echo("There are no jobs." if page == 1 else "There are no jobs on this page.")
        return
    note = f"{len(found.jobs)} of {found.total:,} jobs" if found.total > len(found.jobs) else ""
    draw(
        _COLUMNS,
        [_row(job) for job in found.jobs],
        sys.stdout,
        notes=[note] if note else [],
        show_types=False,
    )


_COLUMNS = tuple(
    Column(name=name, type=type_)
    for name, type_ in (
        ("id", "bigint"),
        ("state", ""),
        ("engine", ""),
        ("submitted", ""),
        ("took", ""),
        ("code", ""),
        ("error", ""),
    )
)


def _row(job: Job) -> tuple[str | None, ...]:
    submitted = datetime.fromtimestamp(job.created_at_ms / 1000).astimezone().strftime("%m-%d %H:%M:%S")
    state = job.state if job.is_final else f"{job.state} {job.progress:.0%}"
    code = textwrap.shorten(job.code, CODE_CHARS_MAX, placeholder=" …")
    return (
        str(job.id),
        state,
        job.engine,
        submitted,
        _took(job),
        code,
        textwrap.shorten(job.error or "", CODE_CHARS_MAX, placeholder=" …"),
    )


def _took(job: Job) -> str:
    return "" if job.cost_ms is None else seconds(job.cost_ms / 1000)


def _name(job: Job) -> str:
    return job.exec_id or str(job.id)
