"""Where a gateway listens for its engine hosts: `unix:///path` or `tcp://host:port`."""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

#: The system's limit is 104 bytes (macOS) or 108 (Linux), the closing zero included.
SOCKET_PATH_BYTES_MAX = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class UnixAddress:
    path: Path

    def __str__(self) -> str:
        return f"unix://{self.path}"


@dataclass(frozen=True, kw_only=True, slots=True)
class TcpAddress:
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp://{host}:{self.port}"


Address = UnixAddress | TcpAddress


def link_address(home: Path) -> str:
    """The address of the gateway of `home`: always the same, so that hosts find a restarted one."""
    path = home.absolute() / "run" / "link.sock"
    if len(os.fsencode(path)) > SOCKET_PATH_BYTES_MAX:
        digest = hashlib.sha256(os.fsencode(home.absolute())).hexdigest()[:16]
        path = Path(tempfile.gettempdir()) / f"ujes-{os.getuid()}-{digest}" / "link.sock"
    return str(UnixAddress(path=path))


def prepare_folder(address: str, mode: int = 0o700) -> None:
    """Make the folder of a unix socket, its owner's. Raises `PermissionError` when others own it.

    The gateway calls this before it listens: in a shared temporary folder somebody else may have been first.
    """
    parsed = parse(address)
    if isinstance(parsed, TcpAddress):
        return
    folder = parsed.path.parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise PermissionError(f"{folder} must be a folder of this user; remove it, or choose another home.")
    folder.chmod(mode)


def parse(address: str) -> Address:
    """Raises `ValueError` with a sentence."""
    parts = urlsplit(address)
    if parts.scheme == "unix" and not parts.netloc and parts.path.startswith("/"):
        return UnixAddress(path=Path(address.removeprefix("unix://")))
    if parts.scheme == "tcp" and parts.hostname and parts.port and not parts.path:
        return TcpAddress(host=parts.hostname, port=parts.port)
    raise ValueError(f"{address!r} is no link address: write unix:///path or tcp://host:port.")


def dial(address: str, timeout_s: float) -> socket.socket:
    """A connected, non-blocking socket. Raises `OSError`, `ValueError` for a bad address."""
    parsed = parse(address)
    if isinstance(parsed, TcpAddress):
        return _dial_tcp(parsed, timeout_s)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout_s)
        sock.connect(str(parsed.path))
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _dial_tcp(address: TcpAddress, timeout_s: float) -> socket.socket:
    sock = socket.create_connection((address.host, address.port), timeout=timeout_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setblocking(False)
    return sock
