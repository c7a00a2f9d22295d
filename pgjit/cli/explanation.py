"""Prints a judgement for people, or returns it as JSON for programs: the decision, and everything that led to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.text import Text

from pgjit.cli.caret import line_and_column, pointed
from pgjit.cli.plain import plain
from pgjit.judging.dry_run import explain_judgement
from pgjit.judging.judge import Judgement
from pgjit.policy.decision import Violation
from pgjit.policy.explain import Ground
from pgjit.policy.passages import Passages
from pgjit.policy.policy import Mode, Policy
from pgjit.sql.catalog import Catalog
from pgjit.sql.statement import Statement

__all__ = ["Explanation", "explain"]

_NAMING = {"execute": "prepared", "fetch": "declared"}
_MAKES = {"prepare": "execute", "declare": "fetch"}


@dataclass(frozen=True, slots=True)
class Explanation:
    policy: Policy
    judgement: Judgement
    grounds: tuple[tuple[Ground, ...], ...]  # for each statement
    lines: dict[str, str]  # the text of the policy's lines, by their place

    def document(self) -> dict[str, object]:
        judgement = self.judgement
        return {
            "policy": self.policy.name,
            "mode": self.policy.mode,
            "decision": "allow" if judgement.allowed else "deny",
            "remarks": list(_remarks(self.policy, judgement)),
            "violations": [_violation(judgement.text, violation) for violation in judgement.violations],
            "statements": [
                {
                    "index": statement.index,
                    "kind": statement.kind,
                    "sql": statement.text,
                    **({} if (recorded := _recorded(statement)) is None else {"recorded": recorded}),
                    "touches": [self._touch(ground) for ground in grounds],
                }
                for statement, grounds in zip(judgement.statements, self.grounds, strict=True)
            ],
        }

    def _touch(self, ground: Ground) -> dict[str, object]:
        return {
            "object": ground.sort,
            "name": ground.name,
            "action": ground.action,
            "position": ground.position,
            "through": ground.through,
            "allowed": ground.allowed,
            "rule": ground.rule,
            "place": ground.place,
            "line": self.lines.get(ground.place or ""),
        }

    def show(self, console: Console) -> None:
        allowed = self.judgement.allowed
        head = Text("ALLOW" if allowed else "DENY", style="bold green" if allowed else "bold red")
        head.append(f"  under policy {self.policy.name}", style="bold")
        if allowed and (condition := _condition(self.judgement)):
            head.append(f", {condition}", style="bold")
        console.print(head)
        for violation in self.judgement.violations:
            console.print()
            _show_violation(self.judgement.text, violation, console)
        for line in _remarks(self.policy, self.judgement):
            console.print(Text(f"note: {plain(line)}"), soft_wrap=True)
        for statement, grounds in zip(self.judgement.statements, self.grounds, strict=True):
            self._show_statement(statement, grounds, console)

    def _show_statement(self, statement: Statement, grounds: tuple[Ground, ...], console: Console) -> None:
        inner = f", with {', '.join(statement.inner)} inside" if statement.inner else ""
        console.print(Text(f"\nstatement {statement.index + 1}: {statement.kind}{inner}", style="bold"))
        if (recorded := _recorded(statement)) is not None:
            console.print(Text(f"  recorded as: {plain(recorded)}"), soft_wrap=True)
        decided: dict[str, list[Ground]] = {}
        for ground in _gathered(grounds):
            decided.setdefault(self._by(ground), []).append(ground)
        for by, group in decided.items():
            console.print(Text(f"  {by}", style="green" if group[0].allowed else "red"), soft_wrap=True)
            for ground in group:
                through = f", through {', '.join(ground.through)}" if ground.through else ""
                action = f" ({ground.action})" if ground.action else ""
                console.print(Text(f"    {ground.sort} {plain(ground.name + action + through)}"), soft_wrap=True)

    def _by(self, ground: Ground) -> str:
        by = "allowed" if ground.allowed else f"refused by {ground.rule}"
        if not ground.place:
            return by
        line = self.lines.get(ground.place)
        joined = " by" if ground.allowed else ","
        return f"{by}{joined} {ground.place}" + (f" `{plain(line)}`" if line else "")


def explain(policy: Policy, judgement: Judgement, catalog: Catalog | None, passages: Passages) -> Explanation:
    """`passages`: collected by the same judgement."""
    grounds = explain_judgement(policy, judgement, catalog, passages)
    return Explanation(policy, judgement, grounds, _lines(ground.place for each in grounds for ground in each))


def _recorded(statement: Statement) -> str | None:
    """The text that its record would have, if the policy redacts."""
    redacted = None if statement.summary is None else statement.summary.redacted
    return None if redacted is None else redacted.text


def _lines(places: Iterable[str | None]) -> dict[str, str]:
    """The text of the line at each place, if its file can be read."""
    found: dict[str, str] = {}
    files: dict[str, list[str]] = {}
    for place in sorted({place for place in places if place}):
        path, number, _ = place.rsplit(":", 2)
        if path not in files:
            try:
                files[path] = Path(path).read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError):
                files[path] = []
        if 0 < int(number) <= len(files[path]):
            found[place] = files[path][int(number) - 1].strip()
    return found


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


def _violation(text: str, violation: Violation) -> dict[str, object]:
    fields: dict[str, object] = {
        "rule": violation.rule,
        "message": violation.message,
        "detail": violation.detail,
        "hint": violation.hint,
        "sqlstate": violation.sqlstate,
        "statement": violation.statement,
        "position": violation.position,
    }
    if violation.position is not None:
        fields["line"], fields["column"] = line_and_column(text, violation.position)
    return fields


def _show_violation(text: str, violation: Violation, console: Console) -> None:
    head = Text(plain(violation.message), style="bold")
    head.append(f"  [{violation.rule}]", style="dim")
    console.print(head, soft_wrap=True)
    if violation.position is not None:
        console.print(Text(pointed(text, violation.position, min(console.width, 120))), soft_wrap=True)
    for name, value in (("detail", violation.detail), ("hint", violation.hint)):
        if value:
            console.print(Text(f"{name}: {plain(value)}"), soft_wrap=True)


def _remarks(policy: Policy, judgement: Judgement) -> Iterator[str]:
    if policy.mode is Mode.OBSERVE and not judgement.allowed:
        yield "the policy observes, but what its preset refuses is refused"
    for violation in judgement.observed:
        yield (
            f"the policy observes: it runs all the same. Enforced, `{violation.rule}` refuses it: {violation.message}"
        )
    if judgement.pgjit_setting is not None:
        yield f"pgjit itself answers this: SHOW pgjit.{judgement.pgjit_setting}"
    elif judgement.allowed and judgement.unread:
        yield "it was not parsed: under `access: full` nothing is refused"
    elif not judgement.statements and judgement.allowed:
        yield (
            "there is no statement in it: nothing runs and nothing is recorded, and the server answers with "
            "EmptyQueryResponse (drivers send this to see whether a connection is alive)"
        )
    if not judgement.allowed:
        return
    if len(judgement.statements) > 1:
        yield "the extended protocol refuses several statements in one message: send each in its own"
    if condition := _condition(judgement):
        yield f"it runs {condition}"
        yield "the name must have been prepared or declared, and judged, in the same session"


def _condition(judgement: Judgement) -> str | None:
    """The condition of an EXECUTE or FETCH whose name the message itself does not define."""
    made: set[tuple[str, str]] = set()
    for statement in judgement.statements:
        effect = statement.effect
        if effect is None or effect.name is None:
            continue
        if effect.verb in _MAKES:
            made.add((_MAKES[effect.verb], effect.name))
        elif effect.verb in _NAMING and (effect.verb, effect.name) not in made:
            return f"if the session has {_NAMING[effect.verb]} it"
    return None
