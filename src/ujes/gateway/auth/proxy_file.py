r"""`HOME/proxy.properties`: a line `token=user1,user2` or `token=*` lets the bearer act as those users.

The format is that of Java property files, with `=` as the only separator: `#` and `!` begin comments, a
line ending in a backslash goes on in the next, `\=` and `\uXXXX` are escapes, a later line for the same
token replaces an earlier one. A line that cannot be used is left out with a warning that names its number
and never shows its text: the token in it is a secret.

The file is looked at on every use (one `stat`) and read again when it changed. Without a file, or when it
cannot be read, there are no tokens in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ujes.gateway.auth.secret import secret_hash
from ujes.gateway.log import logger

FILE_BYTES_MAX = 1024 * 1024

_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_NAMED_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_BLANKS = " \t\f"


@dataclass(frozen=True, kw_only=True, slots=True)
class ProxyTokens:
    #: hash of the token to the users it may act as
    users: Mapping[str, frozenset[str]]
    warnings: tuple[str, ...] = ()


def parse(content: bytes) -> ProxyTokens:
    users: dict[str, frozenset[str]] = {}
    warnings: list[str] = []
    for number, line in _logical_lines(_text(content)):
        token, users_of_it = _entry(line)
        if not token or not users_of_it:
            warnings.append(f"Line {number} is not of the form token=user1,user2 and was left out.")
            continue
        key = secret_hash(token)
        if key in users:
            warnings.append(f"Line {number} replaces an earlier line for the same token.")
        users[key] = users_of_it
    return ProxyTokens(users=users, warnings=tuple(warnings))


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their continuations, each with the number of its first line; comments left out."""
    begun_at, begun = 0, ""
    for number, raw in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        line = raw.lstrip(_BLANKS)
        if not begun_at and (not line or line[0] in "#!"):
            continue
        begun_at, begun = begun_at or number, begun + line
        if _goes_on(line):
            begun = begun[:-1]
            continue
        yield begun_at, begun
        begun_at, begun = 0, ""
    if begun_at:
        yield begun_at, begun


def _goes_on(line: str) -> bool:
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1


def _entry(line: str) -> tuple[str, frozenset[str]]:
    """Token and users; empty when the line has none."""
    separator = re.match(r"(?:[^\\=]|\\.)*?=", line, re.DOTALL)
    if separator is None:
        return "", frozenset()
    token = _unescape(line[: separator.end() - 1].strip())
    names = (_unescape(name).strip() for name in line[separator.end() :].split(","))
    return token, frozenset(name for name in names if name)


def _unescape(text: str) -> str:
    def character(match: re.Match[str]) -> str:
        escaped = match[1]
        return chr(int(escaped[1:], 16)) if len(escaped) > 1 else _NAMED_ESCAPES.get(escaped, escaped)

    return _ESCAPE.sub(character, text)


_NO_TOKENS = ProxyTokens(users={})

#: What tells one state of the file from another.
_Stamp = tuple[int, int, int]


class ProxyFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: _Stamp | str | None = None
        self._tokens = _NO_TOKENS

    def users_of(self, token_hash: str) -> frozenset[str] | None:
        """Whom the token may act as; None when the file does not have it."""
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp, self._tokens = stamp, self._read(stamp)
        return self._tokens.users.get(token_hash)

    def _look(self) -> _Stamp | str | None:
        """The file's stamp, None without a file, a text when it cannot be looked at."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            return error.strerror or type(error).__name__
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self, stamp: _Stamp | str | None) -> ProxyTokens:
        if stamp is None:
            return _NO_TOKENS
        if isinstance(stamp, str):
            return self._unreadable(stamp)
        try:
            with self._path.open("rb") as file:
                content = file.read(FILE_BYTES_MAX + 1)
        except OSError as error:
            return self._unreadable(error.strerror or type(error).__name__)
        if len(content) > FILE_BYTES_MAX:
            return self._unreadable(f"it is larger than {FILE_BYTES_MAX} bytes")
        tokens = parse(content)
        for warning in tokens.warnings:
            logger().warning(warning, file=str(self._path))
        return tokens

    def _unreadable(self, why: str) -> ProxyTokens:
        logger().warning(f"The file cannot be read ({why}); its tokens do not work.", file=str(self._path))
        return _NO_TOKENS
