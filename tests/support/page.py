"""A page of old Scriptis as far as the push channel goes, written from its rules (`websocket.md`, 4 and 6).

One socket serves all tabs. A frame belongs to a tab by its method, tag and task id alone; everything else on
the socket is passed over. What happens after a close depends on its code; a page that cannot connect any
more goes on over HTTP for good. Times are shorter than a real page's, orders and counts are not.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection, connect

from tests.support.served import FINAL, Served

PREFIX = "/api/rest_j/v1/entrance/"
PATH = "/ws/api/entrance/connect"
TIMEOUT_S = 60.0
RETRIES = 3
#: In a real page a minute.
SILENCE_S = 1.0
_GOING_AWAY, _NO_CODE = 1001, 1005


@dataclass(kw_only=True)
class Tab:
    """A script's tab and its one run."""

    tag: str
    method: str
    exec_id: str = ""
    task_id: int | None = None
    #: the four texts of the log panel: errors, warnings, information, all
    log: list[str] = field(default_factory=lambda: ["", "", "", ""])
    states: list[str] = field(default_factory=list)
    progress: list[float] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    #: kinds in the order they came
    kinds: list[str] = field(default_factory=list)
    refusal: str = ""

    @property
    def state(self) -> str:
        return self.states[-1] if self.states else ""

    @property
    def is_over(self) -> bool:
        return self.state in FINAL or bool(self.refusal)

    @property
    def lines(self) -> list[str]:
        return self.log[3].splitlines()

    def take(self, frame: dict[str, Any]) -> bool:
        """Whether the frame is this tab's."""
        if self.task_id is None:
            return self._take_answer(frame)
        data = frame["data"]
        if type(data.get("taskID")) is not int or data["taskID"] != self.task_id:
            return False
        start = self.method.rpartition("/")[0] + f"/{self.exec_id}/"
        if frame["method"].startswith(start):
            self._take_push(frame["method"].removeprefix(start), data)
        return True

    def _take_answer(self, frame: dict[str, Any]) -> bool:
        data = frame["data"]
        if data.get("websocketTag") != self.tag or frame["method"] != self.method:
            return False
        if "errorMsg" in data:
            self.refusal = data["errorMsg"]["desc"]
        else:
            self.exec_id, self.task_id = data["execID"], data["taskID"]
        return True

    def _take_push(self, kind: str, data: dict[str, Any]) -> None:
        self.kinds.append(kind)
        match kind:
            case "status":
                self.states.append(data["status"])
            case "log":
                self.log = [shown + new for shown, new in zip(self.log, data["log"], strict=True)]
            case "progress":
                len(data["progressInfo"])  # a page reads it without asking whether it is there
                self.progress.append(data["progress"])
            case "waitingSize":
                self.places.append(data["waitingSize"])
            case _:
                raise AssertionError(f"a page knows no {kind}")


class Page:
    def __init__(
        self, gateway: Served, user: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        self._gateway = gateway
        self._user = user
        self._headers = headers
        self._socket: ClientConnection | None = None
        self._open = ExitStack()
        self.close_code = _GOING_AWAY  # nothing was open yet: the first send connects
        self._retries = RETRIES
        self._heard_at_s = time.monotonic()
        self.tabs: list[Tab] = []
        #: notices every tab shows, and ends its run at
        self.notices: list[str] = []
        self.connects = 0
        self.is_on_http = False
        self.is_at_login = False

    # --- the socket -------------------------------------------------------------------------------

    def connect(self) -> None:
        headers = self._headers or self._gateway.headers(self._user)
        url = self._gateway.url.replace("http", "ws") + PATH
        try:
            one = connect(url, additional_headers=headers, proxy=None, max_size=2**24)
            self._socket = self._open.enter_context(one)
            self.connects += 1
        except (OSError, InvalidHandshake):
            self._on_close(1006)

    @property
    def is_connected(self) -> bool:
        return self._socket is not None

    def close(self) -> None:
        self._open.close()
        self._socket = None

    def lose_connection(self) -> None:
        """As when the network goes: the gateway sees the end, the page a close without a frame."""
        assert self._socket is not None
        self._socket.socket.shutdown(socket.SHUT_RDWR)
        self.close()
        self._on_close(1006)

    def _on_close(self, code: int) -> None:
        self.close()
        self.close_code = code
        if code in (_GOING_AWAY, _NO_CODE):
            self._retries = RETRIES
            return
        self._retries -= 1
        if self._retries <= 0:
            self.is_on_http = True
        elif self._gateway.url:
            self.connect()

    def send(self, frame: dict[str, Any] | str) -> None:
        if self._socket is None and self.close_code == _GOING_AWAY:
            self.connect()
        if self._socket is None:
            self.is_on_http = True
            return
        try:
            self._socket.send(frame if isinstance(frame, str) else json.dumps(frame))
        except ConnectionClosed as closed:
            self._on_close(_code(closed))
            self.send(frame)

    # --- running ----------------------------------------------------------------------------------

    def run(self, code: str, engine: str = "duckdb", run_type: str = "sql", verb: str = "execute") -> Tab:
        """Start `code` in a new tab."""
        tab = Tab(tag=f"tab {len(self.tabs)}", method=PREFIX + verb)
        self.tabs.append(tab)
        params = {"variable": {}, "configuration": {"special": {}, "runtime": {}, "startup": {}}}
        data = {
            "executeApplicationName": engine,
            "executionCode": code,
            "runType": run_type,
            "params": params,
            "scriptPath": "file:///tmp/1.sql",
        }
        if not self.is_on_http:
            self.send({"method": tab.method, "websocketTag": tab.tag, "data": data})
        if self.is_on_http:
            answer = self._gateway.data("POST", f"/entrance/{verb}", self._user, json=data)
            tab.exec_id, tab.task_id = answer["execID"], answer["taskID"]
        return tab

    def until(self, condition: Callable[[], bool], what: str = "", timeout_s: float = TIMEOUT_S) -> None:
        """Read on until `condition` holds."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline_s, f"it never came to this: {what}; {self.tabs}"
            if self.is_on_http:
                self._poll()
            else:
                self._hear()

    def finish(self, *tabs: Tab) -> None:
        self.until(lambda: all(tab.is_over for tab in tabs or self.tabs), "every run is over")

    def _hear(self) -> None:
        """One frame, or nothing for a while."""
        try:
            text = self._socket.recv(timeout=0.2) if self._socket is not None else None
        except TimeoutError:
            text = None
        except ConnectionClosed as closed:
            self._on_close(_code(closed))
            return
        if text is not None:
            self._heard_at_s = time.monotonic()
            self._take(json.loads(text))
        elif time.monotonic() - self._heard_at_s > SILENCE_S:
            self._heard_at_s = time.monotonic()
            self._ask()

    def _take(self, frame: dict[str, Any]) -> None:
        assert frame["data"] is not None
        if frame["status"] != 0:
            self.notices.append(frame["message"])
            self.is_at_login |= frame["status"] == -1
        for tab in self.tabs:
            if tab.take(frame):
                return

    def _ask(self) -> None:
        """About runs nothing was heard of for long."""
        for tab in self.tabs:
            if tab.task_id is not None and not tab.is_over:
                self.send({"method": f"{PREFIX}{tab.exec_id}/status"})

    def _poll(self) -> None:
        """Over HTTP everything is read from the first line on, so nothing is left out."""
        for tab in self.tabs:
            if tab.task_id is not None and not tab.is_over:
                state = self._gateway.status(tab.task_id, self._user)
                tab.log[3] = "\n".join(self._gateway.log(tab.task_id, self._user))
                tab.states.append(state)


def _code(closed: ConnectionClosed) -> int:
    return closed.rcvd.code if closed.rcvd is not None else 1006


@contextmanager
def page(gateway: Served, user: str | None = None, headers: dict[str, str] | None = None) -> Iterator[Page]:
    one = Page(gateway, user, headers)
    try:
        yield one
    finally:
        one.close()
