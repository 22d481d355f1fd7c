"""What is no proper HTTP, or never becomes a request, costs the gateway next to nothing."""

from __future__ import annotations

import json
import socket
from contextlib import closing

import pytest

from tests.support.served import Served

STATUS = "GET /api/rest_j/v1/gateway/heartbeat HTTP/1.1\r\nHost: x\r\n"


def exchange(gateway: Served, *pieces: bytes) -> bytes:
    """Everything the gateway answers until it hangs up."""
    host, port = gateway.url.removeprefix("http://").split(":")
    with closing(socket.create_connection((host, int(port)), timeout=30)) as line:
        answer = b""
        try:
            for piece in pieces:
                line.sendall(piece)
            while data := line.recv(65536):
                answer += data
        except (ConnectionResetError, BrokenPipeError):
            pass  # it hung up while more was on its way
        return answer


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"FOO / HTTP/1.1\r\n\r\n",
        STATUS.encode() + b"no colon here\r\n\r\n",
        b"POST /api/rest_j/v1/entrance/submit HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n{}",
        b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    ],
)
def test_what_is_no_http_gets_the_envelope(gateway: Served, request_bytes: bytes) -> None:
    head, _, body = exchange(gateway, request_bytes).rpartition(b"\r\n\r\n")
    assert b"400 Bad Request" in head
    assert json.loads(body)["message"].startswith("This is no HTTP request")
    assert not any("Invalid HTTP" in line for line in gateway.output)


def test_a_head_without_end_is_not_kept(gateway: Served) -> None:
    piece = b"x" * 65536
    answer = exchange(gateway, STATUS.encode() + b"X-Long: ", *[piece] * 1000)
    assert answer == b"" or b"431" in answer  # the refusal may be lost with what was still on its way
    ten_thousand = STATUS + f"X-Long: {'x' * 10_000}\r\nConnection: close\r\n\r\n"
    assert b"401 Unauthorized" in exchange(gateway, ten_thousand.encode())


def test_many_requests_at_once_are_answered_in_turn(gateway: Served) -> None:
    last = STATUS + "Connection: close\r\n\r\n"
    answer = exchange(gateway, (STATUS + "\r\n").encode() * 99 + last.encode())
    assert answer.count(b"401 Unauthorized") == 100
