"""The command `ujes`. `ujes --version` answers before anything else is imported."""

from __future__ import annotations

import sys

from ujes import __version__


def main() -> None:
    if sys.argv[1:] == ["--version"]:
        print(f"ujes {__version__}")
        return
    from ujes.cli.commands import ujes  # noqa: PLC0415 - click alone costs half of the 0.1 s a version may take

    ujes(prog_name="ujes")


if __name__ == "__main__":
    main()
