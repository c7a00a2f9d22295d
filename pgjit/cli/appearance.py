"""The look of help: one appearance for the root, for groups and for commands.

Decides that a flag has no type, that arguments are in capitals, that paragraphs are filled to the width of the
terminal, and that indented lines (examples) keep their form. typer draws the panels.
"""

from __future__ import annotations

import inspect
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

__all__ = ["CommandHelp", "command_group"]


class CommandHelp(TyperCommand):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "help": _filled(settings.get("help"))})

    def get_params(self, ctx: Any) -> list[Any]:
        return _as_in_the_text(super().get_params(ctx))


class _GroupHelp(TyperGroup):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "help": _filled(settings.get("help"))})

    def get_params(self, ctx: Any) -> list[Any]:
        return _as_in_the_text(super().get_params(ctx))


def command_group(help_: str, epilog: str | None = None, **settings: Any) -> typer.Typer:
    """A group of commands; without a command it prints its help."""
    return typer.Typer(
        cls=_GroupHelp,
        help=help_,
        epilog=epilog,
        add_completion=False,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        **settings,
    )


def _as_in_the_text(parameters: list[Any]) -> list[Any]:
    """Arguments in capitals, as help's text names them, and flags without a type."""
    for parameter in parameters:
        if parameter.param_type_name == "argument" and parameter.metavar is None:
            parameter.metavar = parameter.name.upper()
        if getattr(parameter, "is_flag", False) and parameter.metavar is None:
            parameter.metavar = ""  # typer would write `<bool>`, as if the flag had a value
    return parameters


def _filled(text: str | None) -> str | None:
    """Each paragraph on one line, which the terminal wraps. A paragraph that begins with a space keeps its lines."""
    if text is None:
        return None
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(each if each.startswith(" ") else " ".join(each.split("\n")) for each in paragraphs)
