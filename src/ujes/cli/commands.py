"""The group of commands. Each is imported only when it is called or its help is shown."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

from ujes import __version__
from ujes.cli.failure import Failure, sentence_of

#: Command to where it is, and one line about it, in the order a newcomer needs them.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "demo": ("ujes.cli.demo:demo", "See it work: sample data, one SQL and one Python job."),
    "serve": ("ujes.cli.serve:serve", "Run a gateway."),
    "stop": ("ujes.cli.serve:stop", "End the gateway on a home, with all its jobs and engines."),
    "run": ("ujes.cli.run:run", "Run code and show its result."),
    "submit": ("ujes.cli.jobs:submit", "Submit code and print the job's number."),
    "status": ("ujes.cli.jobs:status", "Show the state of a job."),
    "log": ("ujes.cli.jobs:log", "Show the log of a job."),
    "kill": ("ujes.cli.jobs:kill", "Kill jobs."),
    "result": ("ujes.cli.result:result", "Show or save the result sets of a job."),
    "jobs": ("ujes.cli.jobs:jobs", "List your jobs, newest first."),
    "user": ("ujes.cli.user:user", "Add, list and remove users."),
    "token": ("ujes.cli.token:token", "Add, list and revoke tokens."),
    "doctor": ("ujes.cli.doctor:doctor", "Check this installation and say what to do."),
}


class Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, name = place[0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list, without importing a single command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_place, about) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except Exception as error:
            sentence = sentence_of(error)
            if sentence is None:
                raise
            raise Failure(sentence) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="%(prog)s %(version)s")
def ujes() -> None:
    """UJES runs SQL, Python and shell on real engines, for many users.

    Try it: ujes demo
    """
