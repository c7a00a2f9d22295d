"""`pgjit` and `python -m pgjit`."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    from pgjit.cli.run import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
