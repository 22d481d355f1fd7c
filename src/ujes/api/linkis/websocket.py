"""The push channel of pages: one WebSocket for all tabs of a page, at any address under `/ws/`.

    upgrade -> who calls? -> a place at the hub -> reader: one frame after the other, each with its answer
                                                -> pushes: what the hub says is news (`pushes.py`)

Both send through one lock, which serves who waits longest: an answer always comes before the first push of
the job it announces. Frames that are wrong are answered with a refusal; the socket stays. It is closed with
1001, after which pages connect again when they need it: when the login ended, when nothing went over it for
long, and when the gateway stops. A peer that takes nothing for `push.slow_reader_s` is cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from ujes.api.linkis import execid, frames
from ujes.api.linkis.body import kind_of
from ujes.api.linkis.caller import identify, peer_of
from ujes.api.linkis.entrance import accept, kill, killable
from ujes.api.linkis.envelope import NOT_LOGGED_IN, Reply, encode, plain_refusal, refusal
from ujes.api.linkis.fault import our_bug
from ujes.api.linkis.frames import FRAME_BYTES_MAX, Frame, JobName
from ujes.api.linkis.hot import LOG_SIZE_DEFAULT, progress_of
from ujes.api.linkis.loglines import by_level
from ujes.api.linkis.lookup import find_job, strong_exec_id
from ujes.api.linkis.pushes import Pushes
from ujes.core.errors import InvalidRequest, NotLoggedIn, UjesError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Message, Receive, Scope, Send

    from ujes.core.job import Job
    from ujes.gateway.auth.identity import Identity
    from ujes.gateway.gateway import Gateway
    from ujes.gateway.jobs.hub import Watcher

PATH = "/ws/"

GOING_AWAY = 1001
OUR_MISTAKE = 1011
#: What a closing frame may wait for a reader.
GOODBYE_S = 1.0

_WHY = {
    "closing": "the gateway stops",
    "idle": "nothing went over this socket for long",
    "behind": "too much is waiting to be read",
}


class PushEndpoint:
    """Takes in upgrades."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if not scope["path"].startswith(PATH):
            sentence = f"There is no WebSocket at {scope['path']}; use an address under {PATH}."
            await _deny(plain_refusal(scope, 404, sentence), scope, receive, send)
            return
        try:
            identity = await identify(self._gateway, scope)
            watcher = self._gateway.hub.enter(identity.user)
        except UjesError as error:
            await _deny(refusal(scope, error, self._gateway.address), scope, receive, send)
            return
        try:
            await send({"type": "websocket.accept", "subprotocol": next(iter(scope["subprotocols"]), None)})
            await _Socket(self._gateway, watcher, scope, receive, send).run()
        except OSError:
            pass  # the peer left while something was sent to it
        finally:
            self._gateway.hub.leave(watcher)


async def _deny(reply: Reply, scope: Scope, receive: Receive, send: Send) -> None:
    """An answer of HTTP instead of the upgrade."""

    async def sending(message: Message) -> None:
        await send({**message, "type": f"websocket.{message['type']}"})

    await reply(scope, receive, sending)


class _TooSlow(Exception):
    """The peer takes nothing."""


class _Socket:
    """One connection."""

    def __init__(
        self, gateway: Gateway, watcher: Watcher, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._gateway = gateway
        self._watcher = watcher
        self._scope = scope
        self._receive, self._send_message = receive, send
        self._pushes = Pushes(gateway, watcher, self._send, self._identify)
        self._sending = asyncio.Lock()
        self._is_reading = False
        self._is_over = False
        self._of_job: dict[str, Callable[[Identity, Frame, str], Awaitable[bytes]]] = {
            "status": self._status,
            "log": self._log,
            "progress": self._progress,
            "kill": self._kill,
            "pause": self._pause,
        }

    async def run(self) -> None:
        """Until either side leaves."""
        reader = asyncio.create_task(self._read())
        pushing = asyncio.create_task(self._pushes.run())
        try:
            await asyncio.wait({reader, pushing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._is_over = True
            pushing.cancel()
            if self._is_reading:  # else it is at work for a frame, which is never left half done
                reader.cancel()
        await asyncio.wait({reader, pushing})
        await self._say_goodbye([task.exception() for task in (pushing, reader) if not task.cancelled()])

    async def _say_goodbye(self, errors: list[BaseException | None]) -> None:
        error = next(filter(None, errors), None)
        if isinstance(error, (_TooSlow, OSError)):
            return
        code, reason = GOING_AWAY, _WHY.get(self._watcher.ended or "", "your login has ended")
        if error is not None and not isinstance(error, NotLoggedIn):
            fault = our_bug("WebSocket", self._scope["path"], _as_exception(error))
            code, reason = OUR_MISTAKE, fault.message
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(GOODBYE_S):
                await self._send_message({"type": "websocket.close", "code": code, "reason": reason})

    async def _identify(self) -> Identity:
        return await identify(self._gateway, self._scope)

    async def _send(self, content: bytes) -> None:
        self._gateway.hub.used(self._watcher)
        try:
            async with asyncio.timeout(self._gateway.settings.push.slow_reader_s), self._sending:
                await self._send_message({"type": "websocket.send", "text": content.decode()})
        except TimeoutError:
            raise _TooSlow from None

    # --- what the page sends ----------------------------------------------------------------------

    async def _read(self) -> None:
        is_welcome = True
        while is_welcome and not self._is_over:
            self._is_reading = True
            event = await self._receive()
            self._is_reading = False
            if event["type"] == "websocket.disconnect":
                return
            self._gateway.hub.used(self._watcher)
            is_welcome = await self._take(event.get("text"))

    async def _take(self, text: str | None) -> bool:
        """Answer one frame; False when the socket has to be closed after it."""
        try:
            identity = await self._identify()
            frame = self._parse(text)
        except NotLoggedIn as error:
            await self._send(encode(self._scope["path"], {}, error.message, NOT_LOGGED_IN))
            return False
        except UjesError as error:
            await self._send(frames.not_understood(self._scope["path"], error))
            return True
        if frame is not None:
            await self._send(await self._answer(identity, frame))
        return True

    def _parse(self, text: str | None) -> Frame | None:
        if text is None:
            raise InvalidRequest("Only text frames are understood here, and this one is binary.")
        if len(text) > FRAME_BYTES_MAX or len(text.encode("utf-8", "surrogatepass")) > FRAME_BYTES_MAX:
            raise InvalidRequest(
                f"This frame is larger than {FRAME_BYTES_MAX:,} bytes. Send less code at a time."
            )
        return frames.parse(text, self._gateway.settings.limits.json_depth)

    async def _answer(self, identity: Identity, frame: Frame) -> bytes:
        try:
            return await self._serve(identity, frame)
        except UjesError as error:
            return frames.refused(frame, error, self._gateway.address)
        except Exception as error:  # noqa: BLE001 - every error becomes a frame
            fault = our_bug("WebSocket", frames.shown(frame.method), error)
            return frames.refused(frame, fault, self._gateway.address)

    async def _serve(self, identity: Identity, frame: Frame) -> bytes:
        name, verb = frame.place()
        if not name and verb in ("execute", "backgroundservice", "submit"):
            return await self._start(identity, frame, verb)
        if name and "/" not in name and verb in self._of_job:
            return await self._of_job[verb](identity, frame, name)
        raise InvalidRequest(f"There is no {frames.shown(frame.method)} on this socket.", code=0)

    async def _start(self, identity: Identity, frame: Frame, verb: str) -> bytes:
        code = frame.data.get("executionCode")
        if verb == "backgroundservice" and not isinstance(code, str):
            raise InvalidRequest(
                f"`executionCode` must be a text here, but is {kind_of(code)}: "
                "imports and exports are not served."
            )
        job = await accept(self._gateway, identity, frame.data, peer_of(self._scope))
        # Nothing else has run since the job was told to the hub: no other socket was sent anything of it.
        exec_id = (
            strong_exec_id(self._gateway, job)
            if verb == "submit"
            else execid.legacy(job.queue, job.id, address=self._gateway.address)
        )
        name = JobName(exec_id=exec_id, prefix=frame.prefix, tag=frame.tag)
        self._gateway.hub.bind(job, self._watcher, name)
        return frames.answer(frame, {"execID": exec_id, "taskID": job.id}, "accepted")

    async def _status(self, identity: Identity, frame: Frame, name: str) -> bytes:
        """Also makes this the socket of a job that has none any more."""
        job = await find_job(self._gateway, identity, _whole(name))
        known = self._watcher.news.get(job.id)
        tag = frame.tag
        if tag is None and known is not None and isinstance(known.name, JobName):
            tag = known.name.tag
        if not name.isdigit():
            own_name = JobName(exec_id=name, prefix=frame.prefix, tag=tag)
            self._gateway.hub.bind(job, self._watcher, own_name)
        data = {"execID": name, "taskID": job.id, "status": job.state.value, "websocketTag": tag}
        return encode(frame.method, data)

    async def _log(self, identity: Identity, frame: Frame, name: str) -> bytes:
        """The first lines; without a `taskID`, so that no page appends them to what it was pushed."""
        job = await find_job(self._gateway, identity, name)
        lines = (await self._gateway.logs.read(job, 1, LOG_SIZE_DEFAULT)).lines
        return frames.answer(frame, {"execID": name, "log": frames.with_ends(by_level(lines))})

    async def _progress(self, identity: Identity, frame: Frame, name: str) -> bytes:
        job = await find_job(self._gateway, identity, name)
        return frames.answer(frame, {"execID": name, "taskID": job.id, **progress_of(self._gateway, job)})

    async def _kill(self, identity: Identity, frame: Frame, name: str) -> bytes:
        """Killing what is over changes nothing, and is no mistake: a refusal would end every tab's run."""
        job: Job = await killable(self._gateway, identity, name)
        if not job.state.is_final:
            await kill(self._gateway, identity, job)
        return frames.answer(frame, {"execID": name})

    async def _pause(self, identity: Identity, _frame: Frame, name: str) -> bytes:
        job = await find_job(self._gateway, identity, name)
        raise InvalidRequest(f"Job {job.id} cannot be paused; nothing here can.", code=0)


def _whole(name: str) -> str:
    """Status is asked by the last part of a 1.x name, too: `IDE_hadoop_duckdb_93`."""
    is_short = ":" not in name and "_" in name and not name.startswith("exec_id") and not name[:6].isdigit()
    return f"exec_id000000{name}" if is_short else name


def _as_exception(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else RuntimeError(repr(error))
