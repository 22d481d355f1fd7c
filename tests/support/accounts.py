"""Other accounts of this machine for tests of root: what they can reach, and a Python they can use."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

#: Accounts every Debian has, that nothing runs as.
GAMES, DAEMON = "games", "daemon"


@dataclass(frozen=True, kw_only=True)
class Python:
    path: str
    env: Mapping[str, str]


def need_root() -> None:
    """Skip the test unless it may start processes of `GAMES` and `DAEMON`."""
    if os.geteuid() != 0:
        pytest.skip("only root can start processes of other accounts")
    for name in (GAMES, DAEMON):
        try:
            pwd.getpwnam(name)
        except KeyError:
            pytest.skip(f"this machine has no account {name}")


def python_for_all(folder: Path) -> Python:
    """A Python with our packages that `GAMES` can use: our own, or a copy in `folder` when that is hidden."""
    own = Python(path=sys.executable, env={})
    if _works(own, Path(sys.base_prefix)):
        return own
    if _works(copy := _copied(folder), folder):
        return copy
    pytest.skip(f"the account {GAMES} can read neither {sys.executable} nor the packages of the tests")


def _copied(folder: Path) -> Python:
    """The standard library and the executable; the packages stay where they are."""
    base, version = Path(sys.base_prefix), sysconfig.get_python_version()
    library = f"lib/python{version}"
    left_out = shutil.ignore_patterns("site-packages", "test", "__pycache__", "config-*")
    shutil.copytree(base / library, folder / library, ignore=left_out, dirs_exist_ok=True)
    (folder / "bin").mkdir(exist_ok=True)
    executable = shutil.copy(Path(sys.executable).resolve(), folder / "bin" / f"python{version}")
    for shared in (base / "lib").glob("libpython*.so*"):
        shutil.copy(shared, folder / "lib")
    packages = [path for path in sys.path if path and not path.startswith(str(base / "lib"))]
    env = {"PYTHONPATH": os.pathsep.join(packages), "LD_LIBRARY_PATH": str(folder / "lib")}
    return Python(path=str(executable), env=env)


def _works(python: Python, prefix: Path) -> bool:
    """Whether `GAMES` can run it, with the standard library below `prefix` and not one found elsewhere."""
    command = [python.path, "-c", "import os, pyarrow, duckdb, ujes; print(os.__file__)"]
    account = pwd.getpwnam(GAMES)
    try:
        done = subprocess.run(
            command,
            user=account.pw_uid,
            group=account.pw_gid,
            extra_groups=[],
            env=os.environ | python.env,
            cwd="/",
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
    except PermissionError:
        return False
    return done.returncode == 0 and Path(done.stdout.strip()).is_relative_to(prefix)
