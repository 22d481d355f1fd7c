"""Reading a request body: never more than the limit in memory, and never JSON deeper than the limit.

Nothing but the bytes counts: the content type is not looked at, and `Content-Encoding: utf-8`, which JVM
clients send, is no compression. A body over the limit is read on and dropped for a while before it is
refused, because a client that is still sending would otherwise see a broken connection instead of the
sentence; one far over the limit, or one that waits for `100 Continue`, is refused at once.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import AsyncIterator, Iterator, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import msgspec

from ujes.core.errors import InvalidRequest, UjesError

if TYPE_CHECKING:
    from starlette.requests import Request

    from ujes.settings import LimitSettings

Payload = dict[str, Any]

#: A body this many times over the limit is not even read to its end.
_DRAIN_FACTOR = 8
_LENGTH_DIGITS_MAX = 18

_BOM = b"\xef\xbb\xbf"
#: A string, or one that never ends: so each byte is looked at once, whatever the body.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NOT_BRACKET = bytes(set(range(256)) - set(b"[]{}"))
#: Brackets as steps up (1) and down (255, which is -1 as a signed byte).
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_LONE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class BodyTooLarge(InvalidRequest):
    """The request body is too large. The connection is closed with the answer."""


async def read_payload(request: Request, limits: LimitSettings) -> Payload:
    """The JSON object of a request body, unwrapped. Raises `InvalidRequest` with a sentence."""
    return unwrap(decode(await read_bytes(request, limits.body_bytes), limits.json_depth))


async def read_bytes(request: Request, limit_bytes: int) -> bytes:
    refusal = BodyTooLarge(f"The request body has more than {limit_bytes:,} bytes. Send less code at a time.")
    drain_bytes = limit_bytes * _DRAIN_FACTOR
    if _announced_bytes(request) > (limit_bytes if "expect" in request.headers else drain_bytes):
        raise refusal
    body = await _read_within(request.stream(), limit_bytes, drain_bytes)
    if body is None:
        raise refusal
    return body


def _announced_bytes(request: Request) -> int:
    text = request.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _LENGTH_DIGITS_MAX else 0


async def _read_within(chunks: AsyncIterator[bytes], limit_bytes: int, drain_bytes: int) -> bytes | None:
    """The whole body, or None when it is over the limit (then at most `drain_bytes` were taken)."""
    kept: list[bytes] = []
    size_bytes = 0
    async for chunk in chunks:
        size_bytes += len(chunk)
        if size_bytes > drain_bytes:
            return None
        if size_bytes <= limit_bytes:
            kept.append(chunk)
        else:
            kept.clear()
    return b"".join(kept) if size_bytes <= limit_bytes else None


def decode(body: bytes, depth_max: int) -> Payload:
    """Bytes to a JSON object. Every way to get this wrong has its sentence."""
    body = body.removeprefix(_BOM)
    if not body.strip():
        raise InvalidRequest("The request body is empty; a JSON object is expected.")
    if is_deeper_than(body, depth_max):
        raise InvalidRequest(f"The request body is nested more than {depth_max} levels deep.")
    value = _parse(body)
    if not isinstance(value, dict):
        raise InvalidRequest(
            "The request body must be a JSON object, like {...}; this is another kind of value."
        )
    if b"\\u0000" in body and any("\0" in text for text in _texts(value)):
        raise InvalidRequest("The request body has a NUL character (\\u0000), which no text may have.")
    return value


def _parse(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"The request body is not UTF-8 (at byte {error.start}).") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise _why_not_json(body, error) from None


def _why_not_json(body: bytes, error: Exception) -> UjesError:
    if b"\0" in body:
        return InvalidRequest("The request body has a NUL character, which no text may have.")
    if _LONE_SURROGATE.search(body):
        return InvalidRequest(
            "The request body is not JSON, or has half of a surrogate pair, such as \\ud800, "
            "which stands for no character."
        )
    return InvalidRequest(f"The request body is not JSON: {_reason(error)}.")


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    return str(error).removeprefix("JSON is malformed: ").removesuffix(".") or "it cannot be read"


def is_deeper_than(body: bytes, depth_max: int) -> bool:
    """Whether brackets nest deeper than that; asked before any recursive reader sees the body."""
    if body.count(b"[") + body.count(b"{") <= depth_max:
        return False
    brackets = _STRING.sub(b"", body).translate(_STEPS, _NOT_BRACKET)
    return max(accumulate(array("b", brackets)), default=0) > depth_max


def _texts(value: object) -> Iterator[str]:
    """Every text in a decoded body, keys included; its depth is limited by now."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        yield from value
        yield from _texts(list(value.values()))


def unwrap(body: Payload) -> Payload:
    """The payload of a body that may be flat or `{method, data, websocketTag}`."""
    inner = body.get("data")
    is_flat = "executionCode" in body or "executionContent" in body
    return inner if isinstance(inner, dict) and not is_flat else body


def kind_of(value: object) -> str:
    """What a JSON value is, in the words of JSON."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, (int, float)):
        return "a number"
    return "an array" if isinstance(value, list) else "an object"


def scalar_text(value: object) -> str | None:
    """A scalar as text: `true`, `1`, `0.5`; None for null, an array or an object."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, (int, float)) else None


def as_object(value: object, field: str) -> Mapping[str, Any]:
    """An object; null counts as an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidRequest(f"`{field}` must be an object, but is {kind_of(value)}.")
    return value


def as_texts(value: object, field: str) -> dict[str, str]:
    """An object of scalars, each as text; what is null is left out."""
    texts: dict[str, str] = {}
    for name, item in as_object(value, field).items():
        if item is None:
            continue
        text = scalar_text(item)
        if text is None:
            raise InvalidRequest(
                f"`{field}.{name}` must be a text, number or boolean, but is {kind_of(item)}."
            )
        texts[name] = text
    return texts


def as_text(value: object, field: str) -> str:
    """A text; null and a missing one count as empty."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidRequest(f"`{field}` must be a text, but is {kind_of(value)}.")
    return value
