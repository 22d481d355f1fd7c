"""What can go wrong with an engine's work, told to the user as it stands.

It lives on the ground floor because writing a result set raises it, too; engines know it as
`ujes.engines.engine.EngineError`.
"""

from __future__ import annotations


class EngineError(Exception):
    """The user's code failed. The text goes to the user as it is, innermost cause first."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.text = text
        self.code = code
