"""A WebSocket to the wire in-process: the server library's part is played here."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from tests.wire.parts import Envelope, Wire
from ujes.api.linkis.app import build

PATH = "/ws/api/entrance/connect"
METHOD = "/api/rest_j/v1/entrance"
#: Generous: nothing here should ever take that long.
TIMEOUT_S = 20.0

Message = dict[str, Any]


class Socket:
    """One connection; `frames` are read by the test, or not at all while `reads` is clear."""

    def __init__(self, wire: Wire, headers: Mapping[str, str], path: str, subprotocols: list[str]) -> None:
        self._scope = {
            "type": "websocket",
            "path": path,
            "query_string": b"",
            "client": ("127.0.0.1", 4321),
            "subprotocols": subprotocols,
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "extensions": {"websocket.http.response": {}},
        }
        self._app = build(wire.gateway)
        self._in: asyncio.Queue[Message] = asyncio.Queue()
        self._out: asyncio.Queue[Message] = asyncio.Queue()
        self.reads = asyncio.Event()
        self.reads.set()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> Message:
        """Ask for the upgrade; the first message of the answer."""
        self._in.put_nowait({"type": "websocket.connect"})
        self._task = asyncio.create_task(self._app(self._scope, self._receive, self._send))
        return await self.message()

    async def close(self) -> None:
        """The peer is gone."""
        assert self._task is not None
        self._in.put_nowait({"type": "websocket.disconnect", "code": 1006})
        self.reads.set()
        await asyncio.wait_for(self._task, TIMEOUT_S)

    async def ended(self) -> None:
        """Wait until the gateway has let go of the connection."""
        assert self._task is not None
        await asyncio.wait_for(asyncio.shield(self._task), TIMEOUT_S)

    async def _receive(self) -> Message:
        return await self._in.get()

    async def _send(self, message: Message) -> None:
        await self.reads.wait()
        self._out.put_nowait(message)

    # --- talking

    def send(self, frame: object) -> None:
        text = frame if isinstance(frame, str) else json.dumps(frame)
        self._in.put_nowait({"type": "websocket.receive", "text": text})

    def send_bytes(self, content: bytes) -> None:
        self._in.put_nowait({"type": "websocket.receive", "bytes": content})

    async def message(self) -> Message:
        return await asyncio.wait_for(self._out.get(), TIMEOUT_S)

    async def frame(self) -> Envelope:
        message = await self.message()
        assert message["type"] == "websocket.send", message
        frame: Envelope = json.loads(message["text"])
        assert set(frame) == {"method", "status", "message", "data"}
        assert isinstance(frame["data"], dict)
        return frame

    async def until(self, kind: str, **wanted: object) -> list[Envelope]:
        """Frames up to the one of that kind with that data."""
        frames = [await self.frame()]
        while not _is(frames[-1], kind, wanted):
            frames.append(await self.frame())
        return frames

    async def ask(self, method: str, data: object = None, tag: object = "tab", **more: object) -> Envelope:
        """Send a frame; the first frame that answers it."""
        self.send({"method": method, "data": data, "websocketTag": tag, **more})
        while (frame := await self.frame())["method"] != method:
            pass
        return frame

    async def execute(self, code: str = "select 1", tag: object = "tab") -> Envelope:
        """`data` of the answer, which has to be the next frame."""
        data = {"executeApplicationName": "duckdb", "executionCode": code, "runType": "sql"}
        self.send({"method": f"{METHOD}/execute", "data": data, "websocketTag": tag})
        frame = await self.frame()
        assert (frame["method"], frame["status"]) == (f"{METHOD}/execute", 0), frame
        answer: Envelope = frame["data"]
        return answer

    @property
    def is_quiet(self) -> bool:
        return self._out.empty()

    async def expect_close(self, code: int) -> Message:
        while (message := await self.message())["type"] != "websocket.close":
            pass
        assert message["code"] == code, message
        self._in.put_nowait({"type": "websocket.disconnect", "code": code})
        await self.ended()
        return message


@asynccontextmanager
async def connected(
    wire: Wire, headers: Mapping[str, str] | None = None, *, user: str = "hadoop", path: str = PATH
) -> AsyncIterator[Socket]:
    """An accepted connection of `user`."""
    socket = Socket(wire, wire.as_user(user) if headers is None else headers, path, [])
    accepted = await socket.open()
    assert accepted["type"] == "websocket.accept", accepted
    try:
        yield socket
    finally:
        await socket.close()


async def refused(wire: Wire, headers: Mapping[str, str], path: str = PATH) -> tuple[int, Envelope]:
    """The HTTP status and the envelope an upgrade is refused with."""
    socket = Socket(wire, headers, path, [])
    start, body = await socket.open(), await socket.message()
    assert (start["type"], body["type"]) == ("websocket.http.response.start", "websocket.http.response.body")
    await socket.ended()
    assert (b"content-type", b"application/json;charset=UTF-8") in start["headers"]
    return start["status"], json.loads(body["body"])


def _is(frame: Envelope, kind: str, wanted: Mapping[str, object]) -> bool:
    return frame["method"].endswith(f"/{kind}") and wanted.items() <= frame["data"].items()


def logged(frames: list[Envelope], task_id: int | None = None) -> list[str]:
    """All lines in the log frames among `frames`, as a page would show them."""
    return "".join(
        frame["data"]["log"][3]
        for frame in frames
        if frame["method"].endswith("/log") and task_id in (None, frame["data"]["taskID"])
    ).splitlines()


def kinds(frames: list[Envelope]) -> list[str]:
    return [str(frame["method"]).rpartition("/")[2] for frame in frames]
