"""`ujes result`."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import click

from ujes.cli.connect import ConnectionOptions, connection_options
from ujes.cli.failure import Failure
from ujes.cli.run import connected
from ujes.cli.show import (
    FORMATS,
    LIMIT_DEFAULT,
    Format,
    Showing,
    check_output,
    chosen,
    decoded,
    show_results,
    write,
)
from ujes.client import Client
from ujes.client.values import Job

_BY_ENDING: dict[str, Format] = {".csv": "csv", ".json": "json", ".jsonl": "json", ".arrow": "arrow"}


@click.command()
@click.argument("job_id", metavar="ID", type=click.IntRange(min=1))
@click.option(
    "--set", "number", metavar="N", type=click.IntRange(min=0), help="Only this result set; the first is 0."
)
@click.option(
    "--format", "format_", type=click.Choice(FORMATS), help="Its form.  [default: table, or by FILE's ending]"
)
@click.option(
    "--limit",
    type=click.IntRange(min=1, max=100_000),
    default=LIMIT_DEFAULT,
    show_default=True,
    help="Rows drawn of a table.",
)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Save one result set here."
)
@connection_options
def result(
    *,
    connection: ConnectionOptions,
    job_id: int,
    number: int | None,
    format_: str | None,
    limit: int,
    output: Path | None,
) -> None:
    """Show or save the result sets of a job.

    Tables are saved as csv unless FILE ends in .json or .arrow, texts as they are, pictures and HTML pages
    as themselves.
    """
    chosen_format = cast("Format | None", format_)
    if output is None:
        check_output(chosen_format or "table")
    with connected(connection.target) as client:
        job = client.job(job_id)
        if output is None:
            show_results(client, job, Showing(format=chosen_format or "table", limit=limit), only=number)
        else:
            _save(client, job, number, output, chosen_format or _BY_ENDING.get(output.suffix.lower(), "csv"))


def _save(client: Client, job: Job, number: int | None, output: Path, format_: Format) -> None:
    paths = chosen(client.result_files(job), job, number)
    if len(paths) != 1:
        raise Failure(f"Job {job.id} has {len(paths)} result sets; say which one with --set.")
    first = client.open_page(paths[0], 1)
    with output.open("wb") as file:
        if first.kind in ("picture", "html"):
            file.write(decoded(first)[0])
        else:
            write(client.pages(paths[0]), file, format_)
    click.echo(f"Saved {output}.", err=True)
