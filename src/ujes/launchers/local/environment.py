"""Which of the gateway's environment variables engines get to see.

The rule, in this order:

1. `UJES_*` stay with the gateway: its settings may hold passwords, and tests steer it by them.
2. A name that looks like a secret's stays: it contains TOKEN, PASSWORD, PASSWD, SECRET, CREDENTIAL or
   PRIVATE, or is KEY or ends in _KEY or _KEYS, or is SSH_AUTH_SOCK.
3. A value that is an address with a password in it (`scheme://user:password@host`) stays.
4. Everything else goes on: PATH, LANG, TZ, proxies without passwords, the paths of libraries.

What an engine is meant to have in spite of this, the operator or the job names in `LaunchOrder.env`.
The rule is applied before the warm parent starts, for a process can read what its parents were started with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_SECRET_NAME = re.compile(
    r"TOKEN|PASSWORD|PASSWD|SECRET|CREDENTIAL|PRIVATE|(^|_)KEYS?$|^SSH_AUTH_SOCK$", re.IGNORECASE
)
_PASSWORD_IN_ADDRESS = re.compile(r"\w+://[^/\s:@]*:[^/\s@]+@")

#: Libraries that start threads when they are imported do not, with these. Only the warm parent has them.
FOR_WARM_PARENT: Mapping[str, str] = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}


def for_engines(environment: Mapping[str, str]) -> dict[str, str]:
    """What of `environment` engines may have."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith("UJES_")
        and not _SECRET_NAME.search(name)
        and not _PASSWORD_IN_ADDRESS.search(value)
    }
