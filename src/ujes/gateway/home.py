"""The folder that holds everything a gateway keeps; one gateway at a time."""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

LOCK_FILE = "gateway.lock"
PRESENCE_FILE = "gateway.json"

LOCK_TRIES_MAX = 5
LOCK_RETRY_S = 0.05


class HomeRefused(Exception):
    """The home cannot be used; the text says why and what to do."""


class Presence(msgspec.Struct, frozen=True, kw_only=True):
    """What a running gateway tells of itself."""

    pid: int
    url: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Home:
    """A locked home. The lock ends with the process, however it ends."""

    path: Path
    lock: int

    def announce(self, url: str) -> None:
        """Tell commands on the same home where the gateway answers."""
        presence = msgspec.json.encode(Presence(pid=os.getpid(), url=url))
        fresh = self.path / f".{PRESENCE_FILE}"
        fresh.unlink(missing_ok=True)
        file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "wb") as draft:
            draft.write(presence)
        fresh.replace(self.path / PRESENCE_FILE)

    def release(self) -> None:
        (self.path / PRESENCE_FILE).unlink(missing_ok=True)
        os.close(self.lock)


def open_home(path: Path) -> Home:
    """Make the home if need be and lock it. Raises `HomeRefused`."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise HomeRefused(
            f"The home {path} cannot be used: {error.strerror}. Name another with --home."
        ) from None
    if not _locked(lock):
        os.close(lock)
        raise HomeRefused(_taken(path))
    return Home(path=path, lock=lock)


def _locked(lock: int) -> bool:
    """Take the lock. A command that only looks (`presence`) may hold it for a moment."""
    for _ in range(LOCK_TRIES_MAX):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(LOCK_RETRY_S)
        else:
            return True
    return False


def presence(path: Path) -> Presence | None:
    """The gateway that runs on this home, if one does and has said so."""
    try:
        told = msgspec.json.decode((path / PRESENCE_FILE).read_bytes(), type=Presence)
        lock = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CLOEXEC)
    except (OSError, msgspec.MsgspecError):
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return told
    finally:
        os.close(lock)
    return None


def _taken(path: Path) -> str:
    other = presence(path)
    who = f"process {other.pid} at {other.url}" if other else "another process"
    return f"A gateway runs on {path} already: {who}. Stop it first, or name another home with --home."
