"""What becomes of an error nobody expected, whichever way the request came."""

from __future__ import annotations

import secrets

from ujes.core.errors import InternalError
from ujes.gateway.log import logger


def our_bug(verb: str, path: str, error: Exception) -> InternalError:
    """Log what happened whole, and show the caller only where to find it."""
    fault_id = secrets.token_hex(6)
    logger().error("A request failed.", fault_id=fault_id, verb=verb, path=path, exc_info=error)
    return InternalError(
        f"UJES made a mistake. The administrator finds it as {fault_id} in the server's log."
    )
