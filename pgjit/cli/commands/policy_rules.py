"""`pgjit policy rules`: lists the rules, in the words of their own docstrings."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from pgjit.cli.policies import AsJson
from pgjit.cli.status import Status
from pgjit.cli.wrong_usage import WrongUsage

if TYPE_CHECKING:
    from rich.console import Console

    from pgjit.policy.catalogue import Page

__all__ = ["policy_rules"]


def policy_rules(
    name: Annotated[str | None, typer.Argument(help="The rule whose whole description is printed.")] = None,
    as_json: AsJson = False,
) -> int:
    """List the rules that judge statements."""
    from rich.console import Console
    from rich.text import Text

    from pgjit.policy.catalogue import catalogue, page
    from pgjit.policy.rules import RULES

    if name is not None and name not in RULES:
        raise WrongUsage(f"`{name}` is not one of {', '.join(RULES)}")
    pages = catalogue() if name is None else (page(RULES[name]),)
    if as_json:
        print(json.dumps([asdict(each) for each in pages], indent=2, ensure_ascii=False))
        return Status.OK
    console = Console(highlight=False)
    for each in pages:
        if name is None:
            console.print(Text.assemble((each.name, "bold"), f"\n  {each.summary}"), soft_wrap=True)
        else:
            _show(each, console)
    return Status.OK


def _show(about: Page, console: Console) -> None:
    from rich.text import Text

    console.print(Text.assemble((about.name, "bold"), f": {about.summary}"), soft_wrap=True)
    for title, text in (("", about.about), ("Why", about.why), ("Instead", about.instead), ("Switch", about.switch)):
        console.print(Text(f"\n{title}: {text}" if title else f"\n{text}"), soft_wrap=True)
    if about.options:
        console.print(Text("\nOptions:"))
    for option in about.options:
        console.print(Text(f"  {option.name} ({option.default}): {option.meaning}"), soft_wrap=True)
