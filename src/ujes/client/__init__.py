"""The Python client of the wire, for UJES and for any server of the Linkis 1.x wire.

    with Client("http://127.0.0.1:9001", user="alice", password=...) as client:
        for result in client.run(JobSpec(code="select 42 as answer", engine="duckdb", run_type="sql")):
            print(result.columns, result.rows)

`requests` builds every call and `answers` reads what comes back, both without I/O; `Client` and
`AsyncClient` are thin shells that perform them.
"""

from ujes.client.async_client import AsyncClient
from ujes.client.client import Client
from ujes.client.errors import ClientError, JobFailed, LoginEnded, NoAnswer, Refused
from ujes.client.values import (
    Column,
    Job,
    JobList,
    JobSpec,
    LogPart,
    Page,
    Progress,
    Result,
    Stage,
    Submitted,
)

__all__ = [
    "AsyncClient",
    "Client",
    "ClientError",
    "Column",
    "Job",
    "JobFailed",
    "JobList",
    "JobSpec",
    "LogPart",
    "LoginEnded",
    "NoAnswer",
    "Page",
    "Progress",
    "Refused",
    "Result",
    "Stage",
    "Submitted",
]
