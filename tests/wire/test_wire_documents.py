"""The requests of the REST documents, word for word but for the engine, and the answers they promise."""

# ruff: noqa: E101, E501 - the bodies are copied as they stand
from __future__ import annotations

import json
from typing import Any

import pytest

from tests.wire.parts import API, Wire

EXECUTE_OF_THE_TASK_DOCUMENT = """{
    "executeApplicationName": "duckdb",
    "requestApplicationName": "dss",
    "executionCode": "show tables",
    "params": {"variable": {}, "configuration": {}},
    "runType": "sql",
   "source": {"scriptPath":"file:///tmp/hadoop/1.hql"}
}"""
SUBMIT_OF_THE_TASK_DOCUMENT = """{
    "executionContent": {"code": "show tables", "runType":  "sql"},
    "params": {"variable": {}, "configuration": {}},
    "source":  {"scriptPath": "file:///mnt/bdp/hadoop/1.hql"},
    "labels": {
        "engineType": "duckdb-2.4.3",
        "userCreator": "hadoop-IDE"
    }
}"""
WRAPPED_OF_THE_ACCESS_DOCUMENT = """{ "method":"/api/rest_j/v1/entrance/execute", "data":{ "params": { "variable":{ "k1":"v1" }, "configuration":{ "special":{ "k2":"v2" }, "runtime":{ "k3":"v3" }, "startup":{ "k4":"v4" } } }, "executeApplicationName":"duckdb", "executionCode":"show tables", "runType":"sql", "source":{ "scriptPath": "/home/Linkis/Linkis.sql" }, "websocketTag":"37fcbd8b762d465a0c870684a0261c6e" } }"""
FLAT_OF_THE_RESTFUL_DOCUMENT = """{
 	"method":"/api/rest_j/v1/entrance/execute",
 	"params": {
    	"variable":{
    		"k1":"v1"
    	},
    	"configuration":{
    		"special":{
    			"k2":"v2"
    		},
    		"runtime":{
    			"k3":"v3"
    		},
    		"startup":{
    			"k4":"v4"
    		}
    	}
    },
    "executeApplicationName":"duckdb",
    "executionCode":"show tables",
    "runType":"sql",
    "source":{
    	"scriptPath": "/home/Linkis/Linkis.sql"
    }
}"""


async def post(wire: Wire, path: str, body: str) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    response = await wire.call("POST", path, content=body.encode(), headers=headers)
    assert response.status_code == 200, response.text
    envelope: dict[str, Any] = response.json()
    return envelope


async def test_execute_of_the_task_document(wire: Wire) -> None:
    envelope = await post(wire, f"{API}/entrance/execute", EXECUTE_OF_THE_TASK_DOCUMENT)
    job = wire.job(envelope["data"]["taskID"])
    assert (job.request.engine, job.request.creator, job.request.run_type) == ("duckdb", "dss", "sql")
    assert job.request.source["scriptPath"] == "file:///tmp/hadoop/1.hql"
    assert envelope["data"]["execID"] == f"030614dssduckdb127.0.0.1:9001dss_hadoop_{job.id}"


async def test_submit_of_the_task_document(wire: Wire) -> None:
    envelope = await post(wire, f"{API}/entrance/submit", SUBMIT_OF_THE_TASK_DOCUMENT)
    request = wire.job(envelope["data"]["taskID"]).request
    assert (request.engine, request.engine_version, request.creator) == ("duckdb", "2.4.3", "IDE")


@pytest.mark.parametrize("body", [WRAPPED_OF_THE_ACCESS_DOCUMENT, FLAT_OF_THE_RESTFUL_DOCUMENT])
@pytest.mark.parametrize("path", ["/api/rest_j/entrance/execute", f"{API}/entrance/execute"])
async def test_execute_wrapped_and_flat(wire: Wire, path: str, body: str) -> None:
    envelope = await post(wire, path, body)
    request = wire.job(envelope["data"]["taskID"]).request
    assert request.variables == {"k1": "v1"}
    assert (request.startup, request.runtime) == ({"k4": "v4"}, {"k3": "v3"})
    assert json.loads(request.params_json)["configuration"]["special"] == {"k2": "v2"}
    assert envelope["method"] == f"{API}/entrance/execute"


async def test_status_log_progress_and_kill(wire: Wire) -> None:
    envelope = await post(wire, f"{API}/entrance/execute", EXECUTE_OF_THE_TASK_DOCUMENT)
    task_id, exec_id = envelope["data"]["taskID"], envelope["data"]["execID"]
    wire.start(task_id)
    status = (await wire.get(f"entrance/{exec_id}/status")).json()
    assert status["method"] == f"{API}/entrance/{exec_id}/status"
    assert (status["data"]["execID"], status["data"]["status"]) == (exec_id, "Running")
    log = (await wire.get(f"entrance/{exec_id}/log", fromLine=1, size=1)).json()["data"]
    assert log["execID"] == exec_id
    assert len(log["log"]) == 4
    assert log["fromLine"] == 2
    progress = (await wire.get(f"entrance/{exec_id}/progress")).json()["data"]
    assert progress["execID"] == exec_id
    assert progress["progress"] == 0.1
    for verb in ("POST", "GET"):
        kill = (await wire.call(verb, f"entrance/{exec_id}/kill")).json()
        assert kill == {
            "method": f"{API}/entrance/{exec_id}/kill",
            "status": 0,
            "message": "OK",
            "data": {"execID": exec_id},
        }


async def test_proxy_headers_of_the_documents(wire: Wire) -> None:
    (wire.gateway.settings.home / "proxy.properties").write_text("the-token=hadoop,alice\n", encoding="utf-8")
    headers = {"Proxy-User": "alice", "Validation-Code": "the-token"}
    body = json.loads(EXECUTE_OF_THE_TASK_DOCUMENT)
    response = await wire.call("POST", "entrance/execute", user=None, json=body, headers=headers)
    assert wire.job(response.json()["data"]["taskID"]).request.run_as == "alice"
    headers["Proxy-User"] = "bob"
    response = await wire.call("POST", "entrance/execute", user=None, json=body, headers=headers)
    assert response.status_code == 401
