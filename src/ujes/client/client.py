"""The client for ordinary code: one call after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import TYPE_CHECKING, Self, TypeVar

import httpx

from ujes.client import answers, requests
from ujes.client.cells import typed_rows
from ujes.client.connection import CONNECT_S, Credentials, is_near, no_answer
from ujes.client.errors import JobFailed, LoginEnded, Refused
from ujes.client.values import Result

if TYPE_CHECKING:
    from ujes.client.requests import Call
    from ujes.client.values import Cell, Job, JobList, JobSpec, LogPart, Page, Progress, Submitted

T = TypeVar("T")


class Client:
    """Talks to UJES, or to any server of the Linkis 1.x wire, as one user.

    With a password it logs in by itself, and again when the server ended the login; with a token it sends
    that with every call. Every method raises `ClientError` with a sentence.
    """

    def __init__(
        self,
        url: str,
        *,
        user: str,
        password: str | None = None,
        token: str | None = None,
        timeout_s: float = 60.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = requests.server_url(url)
        self.user = user
        self._credentials = Credentials.of(user, password, token)
        self._http = httpx.Client(
            base_url=self.url,
            headers=self._credentials.headers(),
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_S),
            trust_env=not is_near(self.url),
            transport=transport,
        )
        self._is_logged_in = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # --- logging in

    def login(self) -> None:
        """Not needed: the first call logs in."""
        if self._credentials.password is not None:
            self._send(requests.login(self.user, self._credentials.password))
        self._is_logged_in = True

    def logout(self) -> None:
        self._send(requests.logout())
        self._is_logged_in = False

    # --- jobs

    def submit(self, spec: JobSpec) -> Submitted:
        return self._do(requests.submit(spec, self.user))

    def execute(self, spec: JobSpec) -> Submitted:
        """`submit` in the form of older servers."""
        return self._do(requests.execute(spec))

    def job(self, job_id: int) -> Job:
        return self._do(requests.job(job_id))

    def jobs(self, *, states: tuple[str, ...] = (), page: int = 1, page_size: int = 20) -> JobList:
        return self._do(requests.jobs(states=states, page=page, page_size=page_size))

    def status(self, exec_id: str) -> str:
        return self._do(requests.status(exec_id))

    def progress(self, exec_id: str) -> Progress:
        return self._do(requests.progress(exec_id))

    def log(self, exec_id: str, from_line: int = 1, *, job: Job | None = None) -> LogPart:
        """Lines from number `from_line` on. With `job`, an ended one, its log file is the second try."""
        try:
            return self._do(requests.log(exec_id, from_line))
        except LoginEnded:
            raise
        except Refused:
            if job is None or job.log_path is None:
                raise
        return self._do(requests.open_log(job.log_path, from_line))

    def kill(self, exec_id: str, job_id: int | None = None) -> None:
        self._do(requests.kill(exec_id, job_id))

    def wait(self, job_id: int, on_look: Callable[[Job], None] | None = None) -> Job:
        """Returns the job once it has ended; `on_look` sees it each time it is asked after."""
        for delay_s in requests.poll_delays_s():
            job = self.job(job_id)
            if on_look is not None:
                on_look(job)
            if job.is_final:
                return job
            time.sleep(delay_s)  # the wire has nothing to wait on but asking again
        raise AssertionError

    def run(self, spec: JobSpec) -> tuple[Result, ...]:
        """Submit, wait, and fetch every result set. Raises `JobFailed` unless it succeeds."""
        job = self.wait(self.submit(spec).id)
        if job.state != "Succeed":
            raise JobFailed(job)
        return tuple(self.result(path) for path in self.result_files(job))

    # --- results

    def result_files(self, job: Job) -> tuple[str, ...]:
        """Paths of the job's result sets, in order."""
        if job.result_location is None:
            return ()
        return self._do(requests.result_files(job.result_location))

    def open_page(self, path: str, page: int, page_rows: int = requests.PAGE_ROWS) -> Page:
        return self._do(requests.open_page(path, page, page_rows))

    def pages(self, path: str, page_rows: int = requests.PAGE_ROWS) -> Iterator[Page]:
        """The pages of a result set: at least one, and no empty one after it."""
        for number in count(1):
            page = self.open_page(path, number, page_rows)
            if number > 1 and not page.rows:
                return
            yield page
            if not page.rows or page.kind == "file":
                return

    def rows(self, path: str) -> Iterator[tuple[Cell, ...]]:
        """All rows, cells as Python values."""
        for page in self.pages(path):
            yield from typed_rows(page.columns, page.rows)

    def result(self, path: str) -> Result:
        pages = list(self.pages(path))
        kind, columns = pages[0].kind, pages[0].columns
        rows = tuple(row for page in pages for row in typed_rows(columns, page.rows))
        return Result(path=path, kind=kind, columns=columns, rows=rows)

    # --- performing calls

    def _do(self, call: Call[T]) -> T:
        """Logs in before the first call, and once more when the server says that the login ended."""
        if not self._is_logged_in:
            self.login()
        try:
            return self._send(call)
        except LoginEnded:
            if self._credentials.password is None:
                raise
        self.login()
        return self._send(call)

    def _send(self, call: Call[T]) -> T:
        request = call.request
        try:
            response = self._http.request(
                request.method, request.path, params=dict(request.query), json=request.body
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise no_answer(self.url, error) from error
        return call.read(answers.data_of(response.status_code, response.content))
