"""What we are measured against: the barest servers of the same kind, each a process of its own.

python -m benchmarks.servers plain|starlette|websocket: prints its port, serves until its input ends.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

Scope = dict[str, Any]
_BODY = b'{"method":"/api/rest_j/v1/entrance/1/status","status":0,"message":"OK","data":{"status":"Succeed"}}'
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(_BODY)).encode())]


async def plain(_scope: Scope, _receive: Any, send: Any) -> None:
    """Plain ASGI: an answer as long as a status."""
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _BODY})


async def _echo(request: Request) -> Response:
    return Response(await request.body(), media_type="application/json")


starlette = Starlette(routes=[Route("/{path:path}", _echo, methods=["POST"])])


async def websocket(_scope: Scope, receive: Any, send: Any) -> None:
    while (event := await receive())["type"] != "websocket.disconnect":
        if event["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        else:
            await send({"type": "websocket.send", "text": event["text"]})


APPS = {"plain": plain, "starlette": starlette, "websocket": websocket}


async def _serve(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        listener.setblocking(False)
        config = uvicorn.Config(
            APPS[name],
            http="httptools",
            ws="websockets-sansio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
        )
        server = uvicorn.Server(config)
        print(listener.getsockname()[1], flush=True)
        asyncio.get_running_loop().run_in_executor(None, sys.stdin.read).add_done_callback(
            lambda _done: setattr(server, "should_exit", True)
        )
        await server.serve(sockets=[listener])


@contextmanager
def running(name: str) -> Iterator[tuple[int, int]]:
    """The process' number and its port."""
    command = [sys.executable, "-m", "benchmarks.servers", name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdin is not None
        yield process.pid, int(process.stdout.readline())
        process.stdin.close()


if __name__ == "__main__":
    import uvloop

    uvloop.run(_serve(sys.argv[1]))
