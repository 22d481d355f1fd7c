#!/usr/bin/env python3
"""The project's own commands. They need Python 3.11 or newer and nothing else.

    python3 dev.py setup     make .venv and install UJES into it, with everything the tests need
    python3 dev.py check     formatting, lint, types
    python3 dev.py test ...  the tests; further arguments go to pytest
    python3 dev.py bench ... the benchmarks; writes docs/benchmarks.md
    python3 dev.py docs      rewrite the tables in docs/ that are made from the code

Every command sets up first, which takes no time when nothing changed since the last one.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
#: Holds what was installed last; written after the install succeeded.
STAMP = VENV / "installed-from"
OLDEST = (3, 11)


def setup(_rest: Sequence[str]) -> int:
    """Make .venv and install, unless that was done from the same pyproject.toml by the same Python."""
    wanted = _fingerprint()
    if STAMP.is_file() and STAMP.read_text() == wanted:
        return 0
    print("setting up .venv (a minute or two the first time)", file=sys.stderr, flush=True)
    if not PYTHON.exists():
        _make_venv()
    status = _run("pip", "install", "--quiet", "--disable-pip-version-check", "--editable", ".[test]")
    if status == 0:
        STAMP.write_text(wanted)
    return status


def check(_rest: Sequence[str]) -> int:
    """Formatting, lint and types; all three speak even when the first has something to say."""
    return max(_run("ruff", "format", "--check", "."), _run("ruff", "check", "."), _run("mypy"))


def test(rest: Sequence[str]) -> int:
    """All of them in two processes, file by file; what is asked for by name in one."""
    return _run("pytest", *(rest or ("-n", "2", "--dist", "loadfile")))


def bench(rest: Sequence[str]) -> int:
    return _run("benchmarks", *rest)


def docs(_rest: Sequence[str]) -> int:
    return _run("docs.tables", "--write")


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "setup": setup,
    "check": check,
    "test": test,
    "bench": bench,
    "docs": docs,
}


def _fingerprint() -> str:
    facts = (ROOT / "pyproject.toml").read_bytes() + f"{sys.version}{ROOT}".encode()
    return hashlib.sha256(facts).hexdigest()


def _make_venv() -> None:
    try:
        venv.create(VENV, with_pip=True, symlinks=os.name != "nt")
    except subprocess.CalledProcessError:
        sys.exit(
            "This Python cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv"
        )


def _run(module: str, *arguments: str) -> int:
    command = [str(PYTHON), "-m", module, *arguments]
    return subprocess.run(command, cwd=ROOT, env=_environment(), check=False).returncode


def _environment() -> dict[str, str]:
    """Ours, as if .venv were active. Bytecode is kept: engines start many times from the same files."""
    dropped = {"PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "PYTHONPATH"}
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    path = f"{VENV / 'bin'}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return kept | {"VIRTUAL_ENV": str(VENV), "PATH": path}


def main(arguments: Sequence[str]) -> int:
    if sys.version_info < OLDEST:
        print("UJES needs Python 3.11 or newer; this is " + sys.version.split()[0], file=sys.stderr)
        return 2
    if not arguments or arguments[0] not in COMMANDS:
        print(__doc__, file=sys.stderr)
        return 2
    return setup(()) or COMMANDS[arguments[0]](arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
