"""Writes the reference of the commands into docs/cli.md: usage, arguments and options as the commands have them.

Decides how they are written. What there is, is said in `pgjit/cli`. Run by `make docs`; `test_docs.py` fails when
the page is stale.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import typer.main

from pgjit.cli.api_command import API_PANEL
from pgjit.cli.run import command
from pgjit.cli.table import COMMANDS

__all__ = ["BEGIN", "END", "PAGE", "reference", "rewritten"]

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
BEGIN = "<!-- begin: written by `make docs` from the commands -->"
END = "<!-- end -->"


def reference() -> str:
    """A section for each command, in the order in which help shows them, and one for the options that many share."""
    found = {name: typer.main.get_command(command(name)) for name in COMMANDS}
    lines = [line for name, each in found.items() for line in _lines(name, each)]
    shared = [parameter for parameter in found["locks"].params if _is_shared(parameter)]
    return "\n".join((*lines, f"### {API_PANEL}", "", *_table(shared)))


def rewritten(page: str) -> str:
    """`page` with everything between its two marks replaced by today's reference."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError("the page has lost the marks between which the reference is written")
    return f"{before}{BEGIN}\n\n{reference()}\n{END}{after}"


def _lines(name: str, found: Any) -> Iterator[str]:
    inner: dict[str, Any] = getattr(found, "commands", {})
    for each, below in inner.items():
        yield from _lines(f"{name} {each}", below)
    if inner:
        return
    given = [each for each in found.params if each.name != "help" and not _is_shared(each) and not _is_hidden(each)]
    arguments = "".join(f" [{each.name.upper()}]" for each in given if each.param_type_name == "argument")
    yield from (f"### `pgjit {name}{arguments}`", "", inspect.cleandoc(found.help or ""), "")
    yield from _table(given)
    if any(map(_is_shared, found.params)):
        yield from (f"And the [{API_PANEL[0].lower()}{API_PANEL[1:]}](#{API_PANEL.lower().replace(' ', '-')}).", "")


def _is_shared(parameter: Any) -> bool:
    return getattr(parameter, "rich_help_panel", None) == API_PANEL


def _is_hidden(parameter: Any) -> bool:
    """For pgjit itself, not for people."""
    return bool(getattr(parameter, "hidden", False))


def _table(parameters: Sequence[Any]) -> Iterator[str]:
    if parameters:
        yield from ("| | default | meaning |", "|---|---|---|", *(_row(each) for each in parameters), "")


def _row(parameter: Any) -> str:
    written = parameter.name.upper() if parameter.param_type_name == "argument" else ", ".join(parameter.opts)
    if parameter.param_type_name == "option" and not parameter.is_flag:
        written += f" {parameter.metavar or parameter.name.upper()}"
    default = parameter.default
    shown = "**required**" if parameter.required else "" if default is None or default is False else f"`{default}`"
    meaning = (parameter.help or "").replace("|", "\\|")
    if not meaning:
        raise ValueError(f"`{written}` has no help")
    names = [parameter.envvar] if isinstance(parameter.envvar, str) else parameter.envvar or ()
    variables = f" Or {', else '.join(names)}." if names else ""
    return f"| `{written}` | {shown} | {meaning}{variables} |"


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    text = rewritten(page)
    PAGE.write_text(text, encoding="utf-8")
    print(f"{PAGE}: {'unchanged' if text == page else 'written'}", file=sys.stderr)
