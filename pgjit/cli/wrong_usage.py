"""The error of a command that was used wrongly, where no value of one option is to blame."""

from __future__ import annotations

import typer

__all__ = ["WrongUsage"]


class WrongUsage(typer.BadParameter):
    """Printed as it is. A `typer.BadParameter` begins with `Invalid value`, and names its option."""

    def format_message(self) -> str:
        return self.message
