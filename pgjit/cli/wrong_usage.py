"""The error of a command that was used wrongly: an option has a wrong value, or options do not go together."""

from __future__ import annotations

import typer

__all__ = ["WrongUsage"]


class WrongUsage(typer.BadParameter):
    """Printed as it is, so its text names the option. A `typer.BadParameter` begins with `Invalid value`."""

    def format_message(self) -> str:
        return self.message
