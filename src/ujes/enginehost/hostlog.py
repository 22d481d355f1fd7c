"""The host's own log: its standard error, which the launcher points at `<work_dir>/host.log`.

Programs may write to that descriptor, too, so its size is looked at after every job.
"""

from __future__ import annotations

import logging
import os
import stat

SIZE_BYTES_MAX = 4 * 1024 * 1024

_STDERR = 2


def begin() -> None:
    """Log to the standard error as it is now, whatever an engine later makes of `sys.stderr`."""
    stream = os.fdopen(os.dup(_STDERR), "w", buffering=1, errors="backslashreplace")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("ujes")
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(logging.INFO)


def trim() -> None:
    """Empty a log that grew beyond all measure. It is written in append mode, so it simply begins anew."""
    found = os.fstat(_STDERR)
    if stat.S_ISREG(found.st_mode) and found.st_size > SIZE_BYTES_MAX:
        os.ftruncate(_STDERR, 0)
