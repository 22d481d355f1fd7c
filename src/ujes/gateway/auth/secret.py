"""Secrets: made at random, recognised by their SHA-256, kept in files only their owner can read.

Tickets and tokens carry 256 random bits, so a plain hash is enough: there is nothing to guess. A secret
is looked up by its hash; how long that takes tells nothing about the secret itself.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from pathlib import Path

_RANDOM_BYTES = 32
#: A ticket or token longer than this is none of ours and is not even hashed.
SECRET_CHARS_MAX = 1024


def new_secret() -> str:
    """Letters, digits, `-` and `_`: safe in a cookie, a header and a file."""
    return secrets.token_urlsafe(_RANDOM_BYTES)


def secret_hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def write_secret(path: Path, secret: str) -> None:
    """Put `secret` into `path`, mode 600 from its first byte, replacing what was there whole."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(secret + "\n")
    draft.replace(path)
