"""The same client for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
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


class AsyncClient:
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
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = requests.server_url(url)
        self.user = user
        self._credentials = Credentials.of(user, password, token)
        self._http = httpx.AsyncClient(
            base_url=self.url,
            headers=self._credentials.headers(),
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_S),
            trust_env=not is_near(self.url),
            transport=transport,
        )
        self._is_logged_in = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    # --- logging in

    async def login(self) -> None:
        """Not needed: the first call logs in."""
        if self._credentials.password is not None:
            await self._send(requests.login(self.user, self._credentials.password))
        self._is_logged_in = True

    async def logout(self) -> None:
        await self._send(requests.logout())
        self._is_logged_in = False

    # --- jobs

    async def submit(self, spec: JobSpec) -> Submitted:
        return await self._do(requests.submit(spec, self.user))

    async def execute(self, spec: JobSpec) -> Submitted:
        """`submit` in the form of older servers."""
        return await self._do(requests.execute(spec))

    async def job(self, job_id: int) -> Job:
        return await self._do(requests.job(job_id))

    async def jobs(self, *, states: tuple[str, ...] = (), page: int = 1, page_size: int = 20) -> JobList:
        return await self._do(requests.jobs(states=states, page=page, page_size=page_size))

    async def status(self, exec_id: str) -> str:
        return await self._do(requests.status(exec_id))

    async def progress(self, exec_id: str) -> Progress:
        return await self._do(requests.progress(exec_id))

    async def log(self, exec_id: str, from_line: int = 1, *, job: Job | None = None) -> LogPart:
        """Lines from number `from_line` on. With `job`, an ended one, its log file is the second try."""
        try:
            return await self._do(requests.log(exec_id, from_line))
        except LoginEnded:
            raise
        except Refused:
            if job is None or job.log_path is None:
                raise
        return await self._do(requests.open_log(job.log_path, from_line))

    async def kill(self, exec_id: str, job_id: int | None = None) -> None:
        await self._do(requests.kill(exec_id, job_id))

    async def wait(self, job_id: int, on_look: Callable[[Job], None] | None = None) -> Job:
        """Returns the job once it has ended; `on_look` sees it each time it is asked after."""
        for delay_s in requests.poll_delays_s():
            job = await self.job(job_id)
            if on_look is not None:
                on_look(job)
            if job.is_final:
                return job
            await asyncio.sleep(delay_s)  # the wire has nothing to wait on but asking again
        raise AssertionError

    async def run(self, spec: JobSpec) -> tuple[Result, ...]:
        """Submit, wait, and fetch every result set. Raises `JobFailed` unless it succeeds."""
        job = await self.wait((await self.submit(spec)).id)
        if job.state != "Succeed":
            raise JobFailed(job)
        return tuple([await self.result(path) for path in await self.result_files(job)])

    # --- results

    async def result_files(self, job: Job) -> tuple[str, ...]:
        """Paths of the job's result sets, in order."""
        if job.result_location is None:
            return ()
        return await self._do(requests.result_files(job.result_location))

    async def open_page(self, path: str, page: int, page_rows: int = requests.PAGE_ROWS) -> Page:
        return await self._do(requests.open_page(path, page, page_rows))

    async def pages(self, path: str, page_rows: int = requests.PAGE_ROWS) -> AsyncIterator[Page]:
        """The pages of a result set: at least one, and no empty one after it."""
        for number in count(1):
            page = await self.open_page(path, number, page_rows)
            if number > 1 and not page.rows:
                return
            yield page
            if not page.rows or page.kind == "file":
                return

    async def rows(self, path: str) -> AsyncIterator[tuple[Cell, ...]]:
        """All rows, cells as Python values."""
        async for page in self.pages(path):
            for row in typed_rows(page.columns, page.rows):
                yield row

    async def result(self, path: str) -> Result:
        pages = [page async for page in self.pages(path)]
        kind, columns = pages[0].kind, pages[0].columns
        rows = tuple(row for page in pages for row in typed_rows(columns, page.rows))
        return Result(path=path, kind=kind, columns=columns, rows=rows)

    # --- performing calls

    async def _do(self, call: Call[T]) -> T:
        """Logs in before the first call, and once more when the server says that the login ended."""
        if not self._is_logged_in:
            await self.login()
        try:
            return await self._send(call)
        except LoginEnded:
            if self._credentials.password is None:
                raise
        await self.login()
        return await self._send(call)

    async def _send(self, call: Call[T]) -> T:
        request = call.request
        try:
            response = await self._http.request(
                request.method, request.path, params=dict(request.query), json=request.body
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise no_answer(self.url, error) from error
        return call.read(answers.data_of(response.status_code, response.content))
