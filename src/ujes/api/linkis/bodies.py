"""The two bodies a job is submitted with, turned into a `JobRequest`. Pure.

`/entrance/submit` takes the modern body, `/entrance/execute` the legacy one, and either path takes either:
`executionContent` makes a body modern. What is refused here leaves no row in the store; what only the
gateway can judge (is the engine here, does it run that language) the entrance refuses later.

`formatCode`, `background`, `websocketTag`, `umUser` and whatever else is in a body are not read, and as whom
a job runs comes from the login or token alone. See `entrance.md`, section 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import msgspec

from ujes.api.linkis.body import Payload, as_object, as_text, as_texts, kind_of, scalar_text
from ujes.core.errors import EmptyCode, InvalidRequest
from ujes.core.job import JobRequest
from ujes.core.labels import (
    LABEL_WRONG,
    EngineLabel,
    creator_name,
    creator_of,
    engine_label,
    parse_creator,
    parse_engine,
)

DEFAULT_CREATOR = "IDE"
DEFAULT_RUN_TYPE = "sql"

#: What a legacy body, which names no version, is taken to mean; "*" for any other engine.
DEFAULT_VERSIONS: Mapping[str, str] = MappingProxyType(
    {
        "spark": "2.4.3",
        "hive": "2.3.3",
        "python": "python2",
        "jdbc": "4",
        "shell": "1",
        "pipeline": "1",
        "appconn": "1",
        "repl": "1",
        "io_file": "1.0",
        "io_hdfs": "1.0",
        "presto": "0.234",
        "trino": "371",
        "flink": "1.16.2",
        "sqoop": "1.4.6",
        "datax": "3.0.0",
        "hbase": "2.5.3",
        "nebula": "3.0.0",
        "doris": "1.2.6",
        "openlookeng": "1.5.0",
        "elasticsearch": "7.6.2",
        "seatunnel": "2.1.2",
    }
)

_CODE_KEY_MISSING = 20010
_LABELS_MISSING = 20008
_ENGINE_MISSING = 50079

_TIMEOUT_LABELS = ("jobQueuingTimeout", "jobRunningTimeout")


def job_request(body: Payload, *, submitter: str, run_as: str, peer: str) -> JobRequest:
    """The request in `body`, asked by `submitter`, from the address `peer`. Raises `UserMistake`."""
    caller = _Caller(submitter=submitter, run_as=run_as, peer=peer)
    if "executionContent" in body:
        return _modern(body, caller)
    return _legacy(body, caller)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Caller:
    submitter: str
    run_as: str
    peer: str


def _modern(body: Payload, caller: _Caller) -> JobRequest:
    content = as_object(body["executionContent"], "executionContent")
    if "code" not in content:
        raise EmptyCode("`executionContent.code` is missing.", code=_CODE_KEY_MISSING)
    code = as_text(content["code"], "executionContent.code")
    if not code.strip():
        raise EmptyCode("`executionContent.code` is empty: there is nothing to run.")
    labels = _labels(body)
    if not labels:
        raise InvalidRequest(
            '`labels` is missing or empty; send at least {"engineType": ...}.', code=_LABELS_MISSING
        )
    engine = _engine_label(labels)
    if engine is None:
        raise InvalidRequest("The label `engineType` is missing.", code=LABEL_WRONG)
    run_type = as_text(content.get("runType"), "executionContent.runType").strip() or _code_type(labels)
    if not run_type:
        raise InvalidRequest(
            "Neither `executionContent.runType` nor the label `codeType` is there.", code=LABEL_WRONG
        )
    creator = _creator_label(labels, caller.run_as) or DEFAULT_CREATOR
    return _request(body, caller, code=code, labels=labels, engine=engine, run_type=run_type, creator=creator)


def _legacy(body: Payload, caller: _Caller) -> JobRequest:
    labels = _labels(body)
    engine = _engine_label(labels) or _engine_of_name(body)
    creator = _creator_label(labels, caller.run_as) or _creator_of_name(body)
    code = as_text(body.get("executionCode"), "executionCode")
    if not code.strip() and creator == DEFAULT_CREATOR and not _source(body, caller.peer).get("scriptPath"):
        raise EmptyCode(
            "`executionCode` is empty, and there is no `source.scriptPath`: there is nothing to run."
        )
    run_type = as_text(body.get("runType"), "runType").strip() or _code_type(labels) or DEFAULT_RUN_TYPE
    return _request(body, caller, code=code, labels=labels, engine=engine, run_type=run_type, creator=creator)


def _request(
    body: Payload,
    caller: _Caller,
    *,
    code: str,
    labels: Mapping[str, Any],
    engine: EngineLabel,
    run_type: str,
    creator: str,
) -> JobRequest:
    params = as_object(body.get("params"), "params")
    configuration = as_object(params.get("configuration"), "params.configuration")
    as_object(configuration.get("special"), "params.configuration.special")
    derived = {"userCreator": f"{caller.run_as}-{creator}", "engineType": str(engine), "codeType": run_type}
    return JobRequest(
        submitter=caller.submitter,
        run_as=caller.run_as,
        creator=creator,
        engine=engine.type,
        engine_version=engine.version,
        run_type=run_type,
        code=code,
        labels=_label_texts(labels) | derived,
        variables=as_texts(params.get("variable"), "params.variable"),
        startup=as_texts(configuration.get("startup"), "params.configuration.startup"),
        runtime=as_texts(configuration.get("runtime"), "params.configuration.runtime"),
        params_json=msgspec.json.encode(params).decode(),
        source=_source(body, caller.peer),
    )


# --- labels ---------------------------------------------------------------------------------------


def _labels(body: Payload) -> Mapping[str, Any]:
    value = body.get("labels")
    if value is not None and not isinstance(value, dict):
        raise InvalidRequest(f"`labels` must be an object, but is {kind_of(value)}.", code=_LABELS_MISSING)
    labels = {name: label for name, label in (value or {}).items() if label is not None}
    for name in _TIMEOUT_LABELS:
        _check_timeout(labels.get(name), name)
    return labels


def _check_timeout(value: object, name: str) -> None:
    text = scalar_text(value)
    if value is not None and not (text is not None and text.isascii() and text.isdigit()):
        raise InvalidRequest(f"The label `{name}` must be a whole number of seconds.", code=LABEL_WRONG)


def _label_texts(labels: Mapping[str, Any]) -> dict[str, str]:
    """Labels nobody here knows are kept, too; one that is not a scalar as its JSON."""
    texts: dict[str, str] = {}
    for name, value in labels.items():
        text = scalar_text(value)
        texts[name] = msgspec.json.encode(value).decode() if text is None else text
    return texts


def _code_type(labels: Mapping[str, Any]) -> str:
    return (scalar_text(labels.get("codeType")) or "").strip()


def _label_parts(value: object) -> Mapping[str, Any] | None:
    """The parts of a label written as an object, or as the JSON text of one."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            return None
    return value if isinstance(value, dict) else None


def _engine_label(labels: Mapping[str, Any]) -> EngineLabel | None:
    value = labels.get("engineType")
    parts = _label_parts(value)
    if parts is not None:
        name, version = scalar_text(parts.get("engineType")) or "", scalar_text(parts.get("version")) or ""
        return engine_label(name, version)
    text = as_text(value, "labels.engineType").strip()
    return parse_engine(text) if text else None


def _creator_label(labels: Mapping[str, Any], run_as: str) -> str | None:
    """The creator in `userCreator`, whose user must be the one the job runs as."""
    value = labels.get("userCreator")
    parts = _label_parts(value)
    if parts is not None:
        user, creator = scalar_text(parts.get("user")) or "", scalar_text(parts.get("creator")) or ""
        return creator_of(user, creator, run_as)
    text = as_text(value, "labels.userCreator").strip()
    return parse_creator(text, run_as) if text else None


# --- legacy names ---------------------------------------------------------------------------------


def _engine_of_name(body: Payload) -> EngineLabel:
    text = as_text(body.get("executeApplicationName"), "executeApplicationName").strip()
    if not text:
        sentence = (
            "The engine type is missing: send `executeApplicationName`, or `executionContent` with the "
            "label `engineType`."
        )
        raise InvalidRequest(sentence, code=_ENGINE_MISSING)
    name, _, version = text.partition("-")
    return engine_label(name, version or DEFAULT_VERSIONS.get(name.lower(), "*"))


def _creator_of_name(body: Payload) -> str:
    text = as_text(body.get("requestApplicationName"), "requestApplicationName").strip()
    return creator_name(text) if text else DEFAULT_CREATOR


def _source(body: Payload, peer: str) -> dict[str, str]:
    source = as_texts(body.get("source"), "source")
    script_path = scalar_text(body.get("scriptPath"))
    if script_path and not source.get("scriptPath"):
        source["scriptPath"] = script_path
    return source | {"requestIP": peer}
