"""`ujes doctor`: looks at everything a gateway needs, and says what to do about what is missing."""

from __future__ import annotations

import asyncio
import errno
import os
import platform
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from ujes import __version__
from ujes.cli.connect import home_option

if TYPE_CHECKING:
    from ujes.settings import Settings

Verdict = Literal["ok", "warn", "fail"]

PYTHON_MIN = (3, 11)
SPACE_MIN_BYTES = 1024**3
_MARKS: dict[Verdict, tuple[str, str]] = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}
_GIB = 1024**3


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    verdict: Verdict
    what: str
    #: what is so, and what to do about it
    text: str


@click.command()
@home_option
def doctor(home: Path) -> None:
    """Check this installation and say what to do.

    The exit code is 1 when something fails that a gateway cannot do without.
    """
    verdicts = set()
    for finding in examine(home):
        verdicts.add(finding.verdict)
        mark, colour = _MARKS[finding.verdict]
        click.echo(f"{click.style(mark, fg=colour)} {finding.what:<10} {finding.text}")
    if "fail" in verdicts:
        raise click.exceptions.Exit(1)


def examine(home: Path) -> Iterator[Finding]:
    """One finding after the other, the cheap ones first."""
    from ujes.cli.serve import load_settings  # noqa: PLC0415

    yield python()
    settings: Settings = load_settings(home=home)
    yield writable(home)
    yield space(home)
    yield database(settings)
    yield gateway(settings)
    yield from engines()


def python() -> Finding:
    version = platform.python_version()
    if sys.version_info < PYTHON_MIN:
        return Finding(verdict="fail", what="python", text=f"{version}; UJES needs 3.11 or newer.")
    return Finding(verdict="ok", what="python", text=f"{version} at {sys.executable}, ujes {__version__}")


def writable(home: Path) -> Finding:
    """Does not make the home: that is the first start's."""
    place = existing(home)
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        text = f"{place} cannot be written to ({error.strerror}). Name another folder with --home."
        return Finding(verdict="fail", what="home", text=text)
    text = f"{home}" if place == home else f"{home} (made at the first start)"
    return Finding(verdict="ok", what="home", text=text)


def existing(path: Path) -> Path:
    """The folder itself, or the nearest one above that is there."""
    return next((one for one in (path, *path.parents) if one.exists()), Path("/"))


def space(home: Path) -> Finding:
    free_bytes = shutil.disk_usage(existing(home)).free
    text = f"{free_bytes / _GIB:.1f} GiB free"
    if free_bytes < SPACE_MIN_BYTES:
        text += "; jobs fail when logs and results have no room. Free some, or name another --home."
        return Finding(verdict="warn", what="space", text=text)
    return Finding(verdict="ok", what="space", text=text)


def database(settings: Settings) -> Finding:
    from ujes.core.errors import UjesError  # noqa: PLC0415
    from ujes.gateway.store.store import Store  # noqa: PLC0415

    file = settings.home / "ujes.db"
    if not settings.database and not file.exists():
        return Finding(verdict="ok", what="database", text=f"{file} (made at the first start)")

    async def look() -> int:
        store = await Store.open(settings.database_url)
        try:
            return len(await store.users())
        finally:
            await store.close()

    try:
        users = asyncio.run(look())
    except (UjesError, OSError) as error:
        return Finding(verdict="fail", what="database", text=str(error))
    return Finding(verdict="ok", what="database", text=f"opens; {users} user{'' if users == 1 else 's'}")


def gateway(settings: Settings) -> Finding:
    from ujes.gateway.home import presence  # noqa: PLC0415

    running = presence(settings.home)
    if running is not None:
        return Finding(verdict="ok", what="gateway", text=f"runs as process {running.pid} at {running.url}")
    where = f"{settings.host}:{settings.port}"
    try:
        with socket.create_server((settings.host, settings.port)):
            pass
    except OSError as error:
        is_taken = error.errno == errno.EADDRINUSE
        why = (
            "is taken by another program"
            if is_taken
            else f"cannot be listened on ({os.strerror(error.errno or 0)})"
        )
        text = f"does not run, and {where} {why}. Start it with another --port."
        return Finding(verdict="warn", what="gateway", text=text)
    return Finding(verdict="ok", what="gateway", text=f"does not run; {where} is free. Start it: ujes serve")


def engines() -> Iterator[Finding]:
    from ujes.engines.registry import EngineRegistry  # noqa: PLC0415

    registry = EngineRegistry()
    ready = 0
    for name in registry.names():
        missing = registry.missing(name)
        if missing is None:
            ready += 1
            engine = registry.get(name)
            versions = "".join(f", {package} {_version(package)}" for package in engine.needs)
            text = f"runs {', '.join(engine.run_types)}{versions}"
            yield Finding(verdict="ok", what=name, text=text)
        else:
            yield Finding(verdict="warn", what=name, text=f"cannot run: {missing}. {_remedy(registry, name)}")
    if not ready:
        text = "none can run. Install one, e.g.: pip install duckdb"
        yield Finding(verdict="fail", what="engines", text=text)


def _version(package: str) -> str:
    try:
        return metadata.version(package.partition(".")[0])
    except metadata.PackageNotFoundError:
        return "(version unknown)"


def _remedy(registry: object, name: str) -> str:
    from ujes.engines.registry import EngineRegistry  # noqa: PLC0415

    assert isinstance(registry, EngineRegistry)
    needs = registry.get(name).needs
    return f"Install it: pip install {' '.join(needs)}"
