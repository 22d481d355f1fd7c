"""What to run: the options `run` and `submit` share."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from ujes.cli.failure import Failure
from ujes.client.values import JobSpec

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_ENGINE = "duckdb"


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeOptions:
    spec: JobSpec


def code_options(command: F) -> F:
    """Adds the options; the command takes `code: CodeOptions`."""

    @functools.wraps(command)
    def wrapper(
        *,
        code: str | None,
        file: str | None,
        engine: str,
        run_type: str | None,
        variables: tuple[str, ...],
        conf: tuple[str, ...],
        creator: str,
        **given: Any,
    ) -> Any:
        settings = _pairs("--conf", conf)
        spec = JobSpec(
            code=_code(code, file),
            engine=engine,
            run_type=run_type or default_run_type(engine),
            creator=creator,
            variables=_pairs("--var", variables),
            # Whether an option is one of the engine's start or of the run, the engine knows.
            startup=settings,
            runtime=settings,
            source={"scriptPath": Path(file).absolute().as_uri()} if file and file != "-" else {},
        )
        return command(code=CodeOptions(spec=spec), **given)

    decorators: tuple[Callable[[Any], Any], ...] = (
        click.argument("code", required=False),
        click.option("-f", "--file", metavar="FILE", help="Read the code from a file; - is standard input."),
        click.option(
            "-e",
            "--engine",
            metavar="ENGINE",
            default=DEFAULT_ENGINE,
            show_default=True,
            help="What runs it.",
        ),
        click.option(
            "-t", "--type", "run_type", metavar="RUN_TYPE", help="Its language; else the engine's first."
        ),
        click.option("--var", "variables", metavar="NAME=VALUE", multiple=True, help="Put in for ${NAME}."),
        click.option("--conf", metavar="KEY=VALUE", multiple=True, help="An option of the engine."),
        click.option(
            "--creator",
            metavar="NAME",
            default="UJES",
            show_default=True,
            help="The application it counts for.",
        ),
    )
    decorated: Any = wrapper
    for decorate in reversed(decorators):
        decorated = decorate(decorated)
    return decorated  # type: ignore[no-any-return]


def default_run_type(engine: str) -> str:
    """The first run type of an engine known here; else what a remote server calls by the engine's name."""
    from ujes.core.errors import UjesError  # noqa: PLC0415
    from ujes.engines.registry import EngineRegistry  # noqa: PLC0415

    name = engine.partition("-")[0]
    try:
        return EngineRegistry().run_types(name)[0]
    except UjesError:
        return {"hive": "hql", "python": "python", "shell": "shell"}.get(name, "sql")


def _code(code: str | None, file: str | None) -> str:
    if (code is None) == (file is None):
        raise click.UsageError("Give the code, or a file with -f.")
    if file is None:
        return code or ""
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise Failure(f"{file} is not UTF-8 text.") from None


def _pairs(option: str, given: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise click.UsageError(f"{option} takes NAME=VALUE, not {text!r}.")
        pairs[name.strip()] = value
    return pairs
