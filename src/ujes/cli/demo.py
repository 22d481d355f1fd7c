"""`ujes demo`: the whole of it, before your eyes."""

from __future__ import annotations

import shlex
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from ujes.cli.failure import Failure
from ujes.cli.follow import exit_code, follow, say_end
from ujes.cli.local import LocalGateway, local_gateway
from ujes.cli.run import connected
from ujes.cli.sample import ROWS, sales_csv
from ujes.cli.serve import load_settings
from ujes.cli.show import Showing, show_results
from ujes.client import Client, JobSpec
from ujes.gateway.home import presence
from ujes.settings import Settings

USER = "admin"
SALES_FILE = "sales.csv"
PORT = 9001

_SQL = """\
select city, count(*) as sales, sum(amount)::decimal(12, 2) as turnover
from '{file}'
group by city
order by turnover desc"""

_PYTHON = """\
import csv
from collections import Counter

pieces = Counter()
with open({file!r}) as sales:
    for row in csv.DictReader(sales):
        pieces[row["product"]] += int(row["pieces"])

for product, count in pieces.most_common():
    print(f"{{product:<8}} {{count:>6}} {{'█' * (count // 400)}}")"""

_BODY = (
    '{"executionContent":{"code":"select 42 as answer","runType":"sql"},'
    '"labels":{"engineType":"duckdb","userCreator":"admin-IDE"}}'
)


@click.command()
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep everything in this folder; else it is thrown away at the end.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="Port; 0 takes a free one."
)
def demo(home: Path | None, port: int) -> None:
    """See it work: sample data, one SQL and one Python job.

    Then it says how to talk to the gateway, and stays until Ctrl-C. When its output goes into a file or a
    pipe, it ends after the jobs.
    """
    with _home(home) as folder:
        settings = load_settings(home=folder, host="127.0.0.1", port=port)
        with local_gateway(_with_free_port(settings)) as gateway:
            _say(f"A gateway answers at {gateway.url}")
            status = _show_jobs(gateway, settings)
            _say_what_next(gateway, settings)
            if sys.stdout.isatty():
                _until_interrupted()
            else:
                _say("\nThis is no terminal, so the gateway ends now. `ujes demo` on a terminal keeps it.")
    sys.exit(status)


@contextmanager
def _home(given: Path | None) -> Iterator[Path]:
    if given is None:
        with tempfile.TemporaryDirectory(prefix="ujes-demo-", ignore_cleanup_errors=True) as folder:
            yield Path(folder)
        return
    folder_given = given.expanduser().absolute()
    running = presence(folder_given)
    if running is not None:
        raise Failure(f"A gateway runs on {folder_given} already, at {running.url}. Name another --home.")
    yield folder_given


def _with_free_port(settings: Settings) -> Settings:
    """The port that was asked for, or a free one: a demo should not fail for that."""
    import socket  # noqa: PLC0415

    try:
        with socket.create_server((settings.host, settings.port)):
            return settings
    except OSError:
        _say(f"Port {settings.port} is taken; another one will do.")
        return settings.model_copy(update={"port": 0})


def _show_jobs(gateway: LocalGateway, settings: Settings) -> int:
    file = settings.users / USER / SALES_FILE
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.write_text(sales_csv(), encoding="utf-8")
    _say(f"Sample data: {ROWS:,} sales in {file}")
    with connected(gateway.target(USER)) as client:
        sql = JobSpec(code=_SQL.format(file=file), engine="duckdb", run_type="sql", creator="IDE")
        python = JobSpec(
            code=_PYTHON.format(file=str(file)), engine="python", run_type="python", creator="IDE"
        )
        return max(_show_job(client, "SQL on DuckDB", sql), _show_job(client, "Python", python))


def _show_job(client: Client, title: str, spec: JobSpec) -> int:
    _say()
    click.secho(f"── {title} ", bold=True, nl=False)
    click.secho("─" * max(4, 60 - len(title)), dim=True)
    click.secho(spec.code, fg="cyan")
    _say()
    followed = follow(client, client.submit(spec), is_quiet=True)
    show_results(client, followed.job, Showing(format="table", limit=20))
    sys.stdout.flush()
    say_end(followed.job)
    return exit_code(followed)


def _say_what_next(gateway: LocalGateway, settings: Settings) -> None:
    password = gateway.first_password
    home, token = shlex.quote(str(settings.home)), shlex.quote(str(settings.home / "local-token"))
    api = f"{gateway.url}/api/rest_j/v1"
    kept = f"the password in {settings.home / 'admin-password'}"
    login = '{"userName":"admin","password":"' + password + '"}' if password else ""
    _say()
    click.secho("Now you", bold=True)
    _say(f"  Log in as admin with {f'password {password}' if password else kept}.")
    _say()
    click.secho("  Run more (in another terminal):", dim=True)
    _say(f'    ujes run --home {home} --user admin "select 42 as answer"')
    _say()
    click.secho("  Or over REST:", dim=True)
    headers = f'-H "Token-User: admin" -H "Token-Code: $(cat {token})"'
    if login:
        # By standard input, so that the password is no argument of a process.
        as_json = "-H 'Content-Type: application/json'"
        _say(f"    echo '{login}' | curl -s -c cookies {as_json} -d @- {api}/user/login")
        headers = "-b cookies"
    _say(f"    curl -s {headers} -H 'Content-Type: application/json' -d '{_BODY}' {api}/entrance/submit")
    _say(f"    curl -s {headers} {api}/jobhistory/1/get")
    _say(f"    curl -s {headers} {api}/entrance/1/log")
    _say(f"    curl -s {headers} '{api}/jobhistory/list?pageSize=5'")


def _until_interrupted() -> None:
    _say()
    _say("Ctrl-C ends it.")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        _say("\rEnded; nothing is left running.")


def _say(text: str = "") -> None:
    click.echo(text)
