"""Many kept-alive connections that send one request after the other, as fast as they are answered."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from typing import cast

import psutil
import uvloop


class _Connection(asyncio.Protocol):
    """Knows just enough HTTP to see where an answer ends."""

    def __init__(
        self, requests: Iterator[bytes], answers: list[bytes], budget: list[int], done: asyncio.Event
    ):
        self._requests, self._answers, self._budget, self._done = requests, answers, budget, done
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def _next(self) -> None:
        if self._budget[0] > 0:
            self._budget[0] -= 1
            self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self._answers.append(head[:15] + body)
        self._buffer = b""
        if len(self._answers) == self._answers_wanted():
            self._done.set()
        self._next()

    def _answers_wanted(self) -> int:
        return self._budget[1]


def perform(
    port: int, requests: Sequence[bytes], *, count: int, connections: int
) -> tuple[float, list[bytes]]:
    """Send `count` requests in turns; seconds it took, and every answer."""
    return uvloop.run(_perform(port, requests, count, connections))


async def _perform(
    port: int, requests: Sequence[bytes], count: int, connections: int
) -> tuple[float, list[bytes]]:
    answers: list[bytes] = []
    done = asyncio.Event()
    budget, source = [count, count], cycle(requests)
    loop = asyncio.get_running_loop()
    start = time.perf_counter()
    opened = [
        await loop.create_connection(lambda: _Connection(source, answers, budget, done), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.wait_for(done.wait(), 120)
    took_s = time.perf_counter() - start
    for transport, _protocol in opened:
        transport.close()
    return took_s, answers


def request(method: str, path: str, *, body: bytes = b"", cookie: str = "") -> bytes:
    fields = {
        "Host": "localhost",
        "Cookie": cookie,
        "Content-Type": "application/json",
        "Content-Length": len(body),
    }
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


@contextmanager
def apart(pid: int) -> Iterator[None]:
    """The server on one core and this process on the others, where the system can do that."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []
    if len(cores) < 2:
        yield
        return
    os.sched_setaffinity(pid, cores[:1])
    os.sched_setaffinity(0, cores[1:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
