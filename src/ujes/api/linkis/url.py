"""The spellings of one address. Pure.

`/api/rest_j/v1/entrance/submit` may be written with `rest_s`, without the version, with slashes doubled or
at the end. Inside, only the first spelling exists; paths outside `/api/rest_*` are left as they are.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from ujes.api.linkis.envelope import ROOT
from ujes.core.errors import InvalidRequest

_SLASHES = re.compile(r"/{2,}")
_ADDRESS = re.compile(r"/api/rest_[js](?:/(v[0-9]+))?(?:/(.*))?", re.DOTALL)
_PLAIN_QUERY = re.compile(r"[\w.:-]+=[\w.:-]*(?:&[\w.:-]+=[\w.:-]*)*", re.ASCII)
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")


class UnsupportedVersion(InvalidRequest):
    """This server speaks version v1 of the interface only."""


def canonical(path: str) -> str:
    """The one spelling of `path`. Raises `UnsupportedVersion`."""
    if path.startswith(ROOT) and "//" not in path and not path.endswith("/"):
        return path
    path = _SLASHES.sub("/", path).rstrip("/") or "/"
    match = _ADDRESS.fullmatch(path)
    if match is None:
        return path
    version, rest = match.groups()
    if version not in (None, "v1"):
        raise UnsupportedVersion(
            f"This server speaks version v1 of the interface, not {version}: use {ROOT}{rest or ''}.", code=0
        )
    return ROOT + (rest or "")


def query(scope_query: bytes) -> dict[str, str]:
    """The query parameters; of a name given twice, the first counts."""
    if not scope_query:
        return {}
    text = scope_query.decode("latin-1")
    if _PLAIN_QUERY.fullmatch(text):  # nothing is encoded, as in most polls
        pairs = [(name, value) for name, _, value in (part.partition("=") for part in text.split("&"))]
    else:
        pairs = parse_qsl(text, keep_blank_values=True)
    return dict(reversed(pairs))


def number(params: dict[str, str], name: str, default: int) -> int:
    """A whole number in the query; blank or missing is `default`."""
    text = params.get(name, "").strip()
    if not text:
        return default
    if not _NUMBER.fullmatch(text):
        raise InvalidRequest(f"The parameter `{name}` must be a whole number.", code=0)
    return int(text)


def is_true(params: dict[str, str], name: str) -> bool:
    return params.get(name, "").strip().lower() == "true"
