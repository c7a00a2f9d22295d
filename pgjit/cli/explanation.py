"""Prints an explanation for people: the decision, and everything that led to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rich.console import Console
from rich.text import Text

from pgjit.audit.plain_text import plain
from pgjit.cli.caret import pointed
from pgjit.judging.explanation import Explanation, condition_of, recorded_text, remarks_on
from pgjit.policy.decision import Violation
from pgjit.policy.explain import Ground
from pgjit.sql.statement import Statement

__all__ = ["show_explanation"]


def show_explanation(explanation: Explanation, console: Console) -> None:
    judgement, policy = explanation.judgement, explanation.policy
    allowed = judgement.allowed
    head = Text("ALLOW" if allowed else "DENY", style="bold green" if allowed else "bold red")
    head.append(f"  under policy {policy.name}", style="bold")
    if allowed and (condition := condition_of(judgement)):
        head.append(f", {condition}", style="bold")
    console.print(head)
    for violation in judgement.violations:
        console.print()
        _show_violation(judgement.text, violation, console)
    for line in remarks_on(policy, judgement):
        console.print(Text(f"note: {plain(line)}"), soft_wrap=True)
    for statement, grounds in zip(judgement.statements, explanation.grounds, strict=True):
        _show_statement(statement, grounds, explanation.lines, console)


def _show_statement(
    statement: Statement, grounds: tuple[Ground, ...], lines: dict[str, str], console: Console
) -> None:
    inner = f", with {', '.join(statement.inner)} inside" if statement.inner else ""
    console.print(Text(f"\nstatement {statement.index + 1}: {statement.kind}{inner}", style="bold"))
    if (recorded := recorded_text(statement)) is not None:
        console.print(Text(f"  recorded as: {plain(recorded)}"), soft_wrap=True)
    decided: dict[str, list[Ground]] = {}
    for ground in _gathered(grounds):
        decided.setdefault(_by(ground, lines), []).append(ground)
    for by, group in decided.items():
        console.print(Text(f"  {by}", style="green" if group[0].allowed else "red"), soft_wrap=True)
        for ground in group:
            through = f", through {', '.join(ground.through)}" if ground.through else ""
            action = f" ({ground.action})" if ground.action else ""
            console.print(Text(f"    {ground.sort} {plain(ground.name + action + through)}"), soft_wrap=True)


def _by(ground: Ground, lines: dict[str, str]) -> str:
    by = "allowed" if ground.allowed else f"refused by {ground.rule}"
    if not ground.place:
        return by
    line = lines.get(ground.place)
    joined = " by" if ground.allowed else ","
    return f"{by}{joined} {ground.place}" + (f" `{plain(line)}`" if line else "")


def _gathered(grounds: tuple[Ground, ...]) -> Iterator[Ground]:
    """Joins the columns of one relation with the same decision into one ground."""
    columns: dict[Ground, list[str]] = {}
    for ground in grounds:
        if ground.sort != "column":
            continue
        relation, _, column = ground.name.rpartition(".")
        columns.setdefault(replace(ground, name=relation, position=None), []).append(column)
    for ground in grounds:
        if ground.sort == "column":
            key = replace(ground, name=ground.name.rpartition(".")[0], position=None)
            if names := columns.pop(key, None):
                yield replace(ground, name=f"{key.name}: {', '.join(dict.fromkeys(names))}")
        else:
            yield ground


def _show_violation(text: str, violation: Violation, console: Console) -> None:
    head = Text(plain(violation.message), style="bold")
    head.append(f"  [{violation.rule}]", style="dim")
    console.print(head, soft_wrap=True)
    if violation.position is not None:
        console.print(Text(pointed(text, violation.position, min(console.width, 120))), soft_wrap=True)
    for name, value in (("detail", violation.detail), ("hint", violation.hint)):
        if value:
            console.print(Text(f"{name}: {plain(value)}"), soft_wrap=True)
