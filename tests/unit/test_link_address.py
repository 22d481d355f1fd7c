from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from ujes.link.address import TcpAddress, UnixAddress, dial, link_address, parse, prepare_folder


def test_a_short_home_holds_its_socket() -> None:
    assert link_address(Path("/srv/ujes")) == "unix:///srv/ujes/run/link.sock"


def test_a_long_home_gets_a_short_path_of_its_own_and_always_the_same() -> None:
    home = Path("/srv") / ("x" * 120)
    address = parse(link_address(home))
    assert isinstance(address, UnixAddress)
    assert len(os.fsencode(address.path)) <= 100
    assert f"ujes-{os.getuid()}-" in str(address)
    assert link_address(home) == str(address)
    assert link_address(home / "y") != str(address)


def test_the_folder_of_the_socket_is_for_its_owner_alone(tmp_path: Path) -> None:
    prepare_folder(f"unix://{tmp_path}/a/run/link.sock")
    assert (tmp_path / "a" / "run").stat().st_mode & 0o777 == 0o700
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with pytest.raises(PermissionError, match="must be a folder of this user"):
        prepare_folder(f"unix://{tmp_path}/link/link.sock")


def test_addresses_are_read_and_written() -> None:
    assert parse("tcp://10.0.0.1:9005") == TcpAddress(host="10.0.0.1", port=9005)
    assert str(parse("tcp://[::1]:9005")) == "tcp://[::1]:9005"
    assert str(parse("unix:///a b/c")) == "unix:///a b/c"


@pytest.mark.parametrize(
    "text", ["", "unix://a/b", "tcp://host", "tcp://:1", "http://a:1", "tcp://a:1/b", "tcp://a:x"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text)


def test_dial_reaches_either_kind(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as unix, socket.socket() as tcp:
        unix.bind(str(tmp_path / "s"))
        unix.listen()
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        for address in (f"unix://{tmp_path}/s", f"tcp://127.0.0.1:{tcp.getsockname()[1]}"):
            with dial(address, 5) as sock:
                assert not sock.getblocking()
    with pytest.raises(OSError, match=r"."):
        dial(f"unix://{tmp_path}/nobody", 5)
