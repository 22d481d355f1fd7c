"""Folders, result sets, scripts and logs: the tables of `filesystem-and-results.md`."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.wire.parts import Wire
from ujes.gateway.jobs.places import user_root

WITH_NULLS = pa.table(
    {
        "id": pa.array([1, None, 3], pa.int64()),
        "name": pa.array(["a", None, ""], pa.string()),
        "word": pa.array(["NULL", "x", None], pa.string()),
    }
)


async def running(wire: Wire, user: str = "hadoop") -> int:
    task_id: int = (await wire.submit(user=user))["taskID"]
    wire.start(task_id)
    return task_id


def own_file(wire: Wire, name: str, content: str | bytes, user: str = "hadoop") -> Path:
    root = user_root(wire.gateway.settings, user)
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


async def refused(wire: Wire, endpoint: str, code: int, user: str = "hadoop", **params: Any) -> str:
    response = await wire.get(f"filesystem/{endpoint}", user=user, **params)
    assert response.status_code == 400, (params, response.text)
    error = response.json()["data"]["errorMsg"]
    assert error["errCode"] == code, (params, response.text)
    text: str = error["desc"]
    assert text.endswith(".")
    return text


# --- trees ------------------------------------------------------------------------------------


async def test_a_result_folder(wire: Wire) -> None:
    task_id = await running(wire)
    folder = wire.result_dir(task_id)
    writer = wire.results(task_id)
    for number in range(12):
        writer.html(f"<p>{number}</p>")
    (folder / ".12.arrow.part").write_bytes(b"unfinished")
    tree = (await wire.data("filesystem/getDirFileTrees", path=f"file://{folder}"))["dirFileTrees"]
    assert {key: value for key, value in tree.items() if key != "children"} == {
        "name": str(task_id),
        "path": f"file://{folder}",
        "properties": None,
        "isLeaf": False,
        "parentPath": None,
    }
    assert [child["name"] for child in tree["children"]] == [f"_{n}.dolphin" for n in range(12)]
    first = tree["children"][0]
    state = (folder / "_0.arrow").stat()
    assert first == {
        "name": "_0.dolphin",
        "path": f"file://{folder}/_0.dolphin",
        "properties": {"size": str(state.st_size), "modifytime": str(state.st_mtime_ns // 1_000_000)},
        "children": None,
        "isLeaf": True,
        "parentPath": f"file://{folder}",
    }


async def test_a_result_folder_without_results_is_an_empty_list(wire: Wire) -> None:
    task_id = await running(wire)
    folder = wire.result_dir(task_id)
    for _ in range(2):
        tree = (await wire.data("filesystem/getDirFileTrees", path=f"file://{folder}/"))["dirFileTrees"]
        assert tree["children"] == []
        if folder.exists():
            folder.rmdir()


async def test_the_users_own_folder(wire: Wire) -> None:
    root_url = (await wire.data("filesystem/getUserRootPath", pathType="file"))["userLocalRootPath"]
    root = user_root(wire.gateway.settings, "hadoop")
    assert root_url == f"file://{root}/"
    assert root.is_dir()
    for name in ("b10.sql", "b9.sql", "_3.arrow", "ü.py", ".hidden", "sub/inner.sql"):
        own_file(wire, name, "x")
    tree = (await wire.data("filesystem/getDirFileTrees", path=root_url))["dirFileTrees"]
    assert [child["name"] for child in tree["children"]] == ["_3.arrow", "b9.sql", "b10.sql", "sub", "ü.py"]
    sub = tree["children"][3]
    assert (sub["isLeaf"], sub["properties"], sub["children"]) == (False, {}, None)
    inner = (await wire.data("filesystem/getDirFileTrees", path=sub["path"]))["dirFileTrees"]
    assert [child["path"] for child in inner["children"]] == [f"file://{root}/sub/inner.sql"]
    leaf = (await wire.data("filesystem/getDirFileTrees", path=f"{root_url}b9.sql"))["dirFileTrees"]
    assert (leaf["isLeaf"], leaf["children"]) == (True, None)
    missing = await wire.data("filesystem/getDirFileTrees", path=f"{root_url}nowhere")
    assert missing == {"dirFileTrees": None}


async def test_other_stores_of_files(wire: Wire) -> None:
    for kind in ("hdfs", "s3"):
        response = await wire.get("filesystem/getUserRootPath", pathType=kind)
        assert response.status_code == 400
        assert kind in response.json()["message"]


async def test_is_exist(wire: Wire) -> None:
    task_id = await running(wire)
    wire.results(task_id).html("x")
    folder = wire.result_dir(task_id)
    for name, exists in (("", True), ("/_0.dolphin", True), ("/_1.dolphin", False)):
        data = await wire.data("filesystem/isExist", path=f"file://{folder}{name}")
        assert data == {"isExist": exists}


# --- paths ------------------------------------------------------------------------------------

ENDPOINTS = ["getDirFileTrees", "openFile", "openLog", "isExist"]


async def test_paths_outside_are_refused(wire: Wire, tmp_path: Path) -> None:
    own = own_file(wire, "a.sql", "select 1")
    foreign = own_file(wire, "b.sql", "secret", user="alice")
    outside = tmp_path / "c.sql"
    outside.write_text("secret", encoding="utf-8")
    root = own.parent
    (root / "link.sql").symlink_to(outside)
    (root / "folder").symlink_to(tmp_path)
    (root / "loop.sql").symlink_to(root / "loop.sql")
    (root / "neighbour.sql").symlink_to(foreign)
    settings = wire.gateway.settings
    sibling = root.parent / f"{root.name}x" / "d.sql"
    sibling.parent.mkdir()
    sibling.write_text("secret", encoding="utf-8")
    for path in (
        "/etc/passwd",
        "file:///etc/passwd",
        "file:/etc/passwd",
        "FILE:///etc/passwd",
        "file://localhost/etc/passwd",
        "file://elsewhere/etc/passwd",
        "hdfs:///tmp/a.sql",
        "s3://bucket/a.sql",
        "http://127.0.0.1/a.sql",
        "relative.sql",
        "~/a.sql",
        f"{root}/../alice/b.sql",
        f"file://{root}/sub/../../alice/b.sql",
        f"{root}/..",
        f"{root}/%2e%2e/alice/b.sql/../../../..",
        f"{foreign}",
        f"{sibling}",
        f"{root}/link.sql",
        f"{root}/folder",
        f"{root}/folder/c.sql",
        f"{root}/neighbour.sql",
        f"{root}/a.sql\0",
        f"{root}/{'x' * 300}.sql",
        "/" + "x/" * 4000,
        f"{settings.home}/ujes.db",
        f"{settings.home}/admin-password",
        f"{settings.home}/local-token",
        f"{settings.logs}",
        f"{settings.results}",
        f"{settings.users}",
        "/",
        "//",
    ):
        for endpoint in ENDPOINTS:
            text = await refused(wire, endpoint, 80010, path=path)
            assert "secret" not in text


async def test_an_encoded_path_is_decoded_once(wire: Wire) -> None:
    own = own_file(wire, "a b%2e.sql", "select 1")
    data = await wire.data("filesystem/openFile", path=f"file://{own}")
    assert data["fileContent"] == [["select 1\n"]]
    response = await wire.call("GET", f"filesystem/openFile?path={own.parent}%2F..%2Falice%2Fb.sql")
    assert response.status_code == 400


async def test_a_missing_path(wire: Wire) -> None:
    for endpoint in ENDPOINTS:
        for params in ({}, {"path": ""}, {"path": "  "}):
            await refused(wire, endpoint, 80004, **params)


async def test_a_foreign_jobs_results_and_log_are_as_good_as_unknown(wire: Wire) -> None:
    task_id = await running(wire)
    path = wire.table(task_id, WITH_NULLS)
    log = f"file://{wire.log_path(task_id)}"
    for found in (path, log, str(wire.result_dir(task_id))):
        missing = found.replace(str(task_id), "999999")
        for endpoint in ENDPOINTS:
            foreign = await refused(wire, endpoint, 80010, user="alice", path=found)
            nobodys = await refused(wire, endpoint, 80010, user="alice", path=missing)
            assert foreign.replace(str(task_id), "999999") == nobodys
    assert (await wire.data("filesystem/openFile", user="admin", path=path))["totalLine"] == 3
    assert (await wire.data("filesystem/openLog", user="admin", path=log))["log"][3]
    await refused(
        wire, "openFile", 80010, user="admin", path=f"{user_root(wire.gateway.settings, 'hadoop')}/a.sql"
    )


async def test_a_folder_that_only_looks_like_a_jobs(wire: Wire) -> None:
    task_id = await running(wire)
    pretender = wire.gateway.settings.results / "2000-01-01" / "IDE" / "alice" / str(task_id)
    pretender.mkdir(parents=True)
    await refused(wire, "getDirFileTrees", 80010, path=str(pretender))


async def test_pipes_and_devices_are_not_waited_for(wire: Wire) -> None:
    root = own_file(wire, "a.sql", "x").parent
    os.mkfifo(root / "pipe.sql")
    (root / "folder.sql").mkdir()
    for name in ("pipe.sql", "folder.sql", "missing.sql"):
        await refused(wire, "openFile", 80012, path=f"{root}/{name}")
        await refused(wire, "openLog", 80012, path=f"{root}/{name}")


# --- result sets ------------------------------------------------------------------------------


async def test_a_table(wire: Wire) -> None:
    task_id = await running(wire)
    fields = [
        pa.field("id", pa.int32(), metadata={"comment": "the number"}),
        pa.field("price", pa.decimal128(10, 2)),
        pa.field("ok", pa.bool_()),
        pa.field("id", pa.string()),
    ]
    columns = [
        pa.array([1, 2], pa.int32()),
        pa.array([Decimal("1.50"), None], pa.decimal128(10, 2)),
        pa.array([True, False]),
        pa.array(["x", "ü"]),
    ]
    path = wire.table(task_id, pa.table(columns, schema=pa.schema(fields)))
    assert await wire.data("filesystem/openFile", path=path, charset="utf8") == {
        "metadata": [
            {"columnName": "id", "comment": "the number", "dataType": "int"},
            {"columnName": "price", "comment": "", "dataType": "decimal"},
            {"columnName": "ok", "comment": "", "dataType": "boolean"},
            {"columnName": "id", "comment": "", "dataType": "string"},
        ],
        "totalColumn": 4,
        "fileContent": [["1", "1.50", "true", "x"], ["2", "NULL", "false", "ü"]],
        "type": "2",
        "totalLine": 2,
        "page": 1,
        "totalPage": 0,
    }


async def test_how_null_is_written(wire: Wire) -> None:
    path = wire.table(await running(wire), WITH_NULLS)
    for params, rows in (
        ({}, [["1", "a", "NULL"], ["NULL", "NULL", "x"], ["3", "", "NULL"]]),
        ({"nullValue": ""}, [["1", "a", "NULL"], ["NULL", "NULL", "x"], ["3", "", "NULL"]]),
        ({"nullValue": "BLANK"}, [["1", "a", "NULL"], ["NULL", "NULL", "x"], ["3", "", "NULL"]]),
        ({"nullValue": "LINKIS_NULL"}, [["1", "a", "NULL"], [None, None, "x"], ["3", "", None]]),
        ({"nullValue": "-"}, [["1", "a", "-"], ["-", "-", "x"], ["3", "-", "-"]]),
    ):
        assert (await wire.data("filesystem/openFile", path=path, **params))["fileContent"] == rows


async def test_paging(wire: Wire) -> None:
    path = wire.table(await running(wire), pa.table({"n": list(range(25_001))}))

    async def page(**params: Any) -> tuple[list[int], int]:
        data = await wire.data("filesystem/openFile", path=path, **params)
        assert data["totalPage"] == 0
        assert data["metadata"]
        assert data["totalLine"] == len(data["fileContent"])
        return [int(row[0]) for row in data["fileContent"]], data["page"]

    assert await page() == (list(range(5000)), 1)
    assert await page(page="", pageSize=" ") == (list(range(5000)), 1)
    assert await page(page=2, pageSize=5000) == (list(range(5000, 10_000)), 2)
    assert await page(page=6) == ([25_000], 6)
    assert await page(page=7) == ([], 7)
    assert await page(page=10**17, pageSize=100_000) == ([], 10**17)
    assert await page(page=3, pageSize=9_999) == (list(range(19_998, 25_001)), 3)
    assert await page(page=1, pageSize=100_000) == (list(range(25_001)), 1)
    shown: list[int] = []
    number = 1
    while rows := (await page(page=number, pageSize=7000))[0]:
        shown += rows
        number += 1
    assert shown == list(range(25_001))


async def test_pages_that_cannot_be(wire: Wire) -> None:
    path = wire.table(await running(wire), WITH_NULLS)
    for params, code in (
        ({"pageSize": 100_001}, 80034),
        ({"pageSize": 0}, 80034),
        ({"pageSize": -5}, 80034),
        ({"page": 0}, 80034),
        ({"page": -1}, 80034),
        ({"enableLimit": "true", "columnPage": -1}, 80036),
        ({"enableLimit": "true", "columnPageSize": 501}, 80036),
        ({"enableLimit": "true", "columnPageSize": -1}, 80036),
        ({"enableLimit": "true", "columnPage": 2}, 80036),
    ):
        await refused(wire, "openFile", code, path=path, **params)
    for params in (
        {"page": "x"},
        {"pageSize": "1e3"},
        {"page": "9" * 30},
        {"enableLimit": "true", "columnPage": "x"},
    ):
        assert (await wire.get("filesystem/openFile", path=path, **params)).status_code == 400


async def test_pages_of_columns(wire: Wire) -> None:
    path = wire.table(await running(wire), pa.table({f"c{n}": [str(n)] for n in range(7)}))

    async def columns(**params: Any) -> tuple[list[str], list[str], int]:
        data = await wire.data("filesystem/openFile", path=path, **params)
        return (
            [entry["columnName"] for entry in data["metadata"]],
            data["fileContent"][0],
            data["totalColumn"],
        )

    every = [f"c{n}" for n in range(7)]
    assert await columns(enableLimit="true") == (every, [str(n) for n in range(7)], 7)
    assert await columns(enableLimit="true", columnPage="", columnPageSize="") == (every, [*"0123456"], 7)
    assert await columns(enableLimit="true", columnPage=2, columnPageSize=3) == (
        ["c3", "c4", "c5"],
        [*"345"],
        7,
    )
    assert await columns(enableLimit="true", columnPage=3, columnPageSize=3) == (["c6"], ["6"], 7)
    assert await columns(columnPage=9, columnPageSize=999) == (every, [*"0123456"], 7)
    assert await columns(maskedFieldNames="c0,c1", truncateColumn="true") == (every, [*"0123456"], 7)


async def test_the_console_does_not_show_a_huge_row(wire: Wire) -> None:
    path = wire.table(await running(wire), pa.table({"a": ["x" * 21_000_000]}))
    shown = await wire.data("filesystem/openFile", path=path, enableLimit="true")
    assert shown["display_prohibited"] is True
    assert "fileContent" not in shown
    assert (await wire.data("filesystem/openFile", path=path))["totalLine"] == 1


async def test_texts_pictures_and_html(wire: Wire) -> None:
    task_id = await running(wire)
    results = wire.results(task_id)
    with results.text() as text:
        for line in ("one", "", "three"):
            text.write_line(line)
    results.html("<b>x</b>")
    results.picture(b"png", "image/png")
    folder = f"file://{wire.result_dir(task_id)}"
    for number, kind, content in (
        (0, "1", [["one"], [""], ["three"]]),
        (1, "5", [["<b>x</b>"]]),
        (2, "4", [['<img src="data:image/png;base64,cG5n">']]),
    ):
        path = f"{folder}/_{number}.dolphin"
        data = await wire.data("filesystem/openFile", path=path, nullValue="LINKIS_NULL")
        assert (data["type"], data["metadata"], data["fileContent"]) == (kind, "NULL", content)
        assert (data["totalLine"], data["totalPage"]) == (len(content), 0)
        past = await wire.data("filesystem/openFile", path=path, page=2)
        assert (past["fileContent"], past["totalLine"]) == ([], 0)


async def test_an_empty_table(wire: Wire) -> None:
    path = wire.table(await running(wire), WITH_NULLS.slice(0, 0))
    data = await wire.data("filesystem/openFile", path=path)
    assert (data["fileContent"], data["totalLine"], len(data["metadata"])) == ([], 0, 3)


async def test_result_sets_that_cannot_be_read(wire: Wire) -> None:
    task_id = await running(wire)
    folder = wire.result_dir(task_id)
    (folder / "_0.arrow").write_bytes(b"not arrow")
    (folder / "_1.arrow").write_bytes(b"")
    (folder / "_2.arrow").mkdir()
    for number in range(4):
        text = await refused(wire, "openFile", 80012, path=f"{folder}/_{number}.dolphin")
        assert str(folder) not in text


async def test_results_outlive_a_login(wire: Wire) -> None:
    job = await wire.finished()
    path = wire.table(job.id, WITH_NULLS)
    assert (await wire.data("filesystem/openFile", path=path))["totalLine"] == 3


# --- scripts ----------------------------------------------------------------------------------


async def test_a_script(wire: Wire) -> None:
    path = own_file(
        wire, "a.sql", "--@set day=2026-01-01\n--conf@set spark runtime a.b=c\n--\nselect 1\nselect 2"
    )
    data = await wire.data("filesystem/openFile", path=f"file://{path}", page=5, pageSize=1)
    assert data == {
        "metadata": {
            "variable": {"day": "2026-01-01"},
            "configuration": {"startup": {}, "runtime": {"a.b": "c"}, "special": {}},
        },
        "fileContent": [["select 1\nselect 2\n"]],
        "type": "script/text",
        "totalLine": 2,
        "page": 1,
        "totalPage": 0,
    }


async def test_bytes_that_are_no_text_are_shown_as_well_as_can_be(wire: Wire) -> None:
    path = own_file(wire, "a.txt", b"\xef\xbb\xbfa\xff\x00b\xed\xa0\x80")
    content = (await wire.data("filesystem/openFile", path=str(path)))["fileContent"][0][0]
    assert content.startswith("a\ufffd")


async def test_files_that_are_not_opened(wire: Wire) -> None:
    for name in ("a.exe", "a", "a.arrow", "a.db", ".sql"):
        await refused(wire, "openFile", 80012, path=str(own_file(wire, name, "x")))
    await refused(wire, "openFile", 80012, path=str(own_file(wire, "a.dolphin", "x")))


async def test_a_file_that_is_too_large(wire: Wire) -> None:
    limit = wire.gateway.settings.limits.file_bytes
    path = own_file(wire, "a.sql", b"x" * (limit + 1))
    assert f"{limit:,}" in await refused(wire, "openFile", 80032, path=str(path))
    await refused(wire, "openLog", 80033, path=str(path))


# --- logs -------------------------------------------------------------------------------------


async def test_open_log(wire: Wire) -> None:
    lines = [
        "starts without a level",
        "2026-01-01 10:00:00.001 INFO one",
        "more of one",
        "2026-01-01 10:00:00.002 ERROR two",
        "  at somewhere",
        "",
        "2026-01-01 10:00:00.003 WARN three",
    ]
    path = own_file(wire, "a.log", "".join(f"{line}\n" for line in lines))
    errors, warnings, information, every = (await wire.data("filesystem/openLog", path=str(path)))["log"]
    assert errors == "".join(f"{line}\n" for line in lines[3:6])
    assert warnings == f"{lines[6]}\n"
    assert information == "".join(f"{line}\n" for line in lines[1:3])
    assert every == "".join(f"{line}\n" for line in lines)
    chosen = (await wire.data("filesystem/openLog", path=str(path), logLevel="error,warn"))["log"]
    assert (chosen[0], chosen[1], chosen[2]) == (errors, warnings, "")


@pytest.mark.parametrize("content", ["", "\n", " \n\n"])
async def test_the_fourth_text_is_never_blank(wire: Wire, content: str) -> None:
    path = own_file(wire, "a.log", content)
    log = (await wire.data("filesystem/openLog", path=str(path)))["log"]
    assert len(log) == 4
    assert all(isinstance(text, str) for text in log)
    assert log[3].strip()


async def test_the_log_of_a_job(wire: Wire) -> None:
    job = await wire.finished()
    task = (await wire.data(f"jobhistory/{job.id}/get"))["task"]
    log = (await wire.data("filesystem/openLog", path=task["logPath"]))["log"]
    assert f"task id {job.id}" in log[3]
