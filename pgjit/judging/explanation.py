"""A judgement with everything that led to it, as a value and as JSON: `pgjit policy explain` and the HTTP API.

Decides nothing of its own: `explain_judgement` says which line of the policy decided on which object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pgjit.judging.dry_run import explain_judgement
from pgjit.judging.judge import Judgement, assess
from pgjit.judging.text_position import line_and_column
from pgjit.policy.decision import Violation
from pgjit.policy.explain import Ground
from pgjit.policy.passages import Passages
from pgjit.policy.policy import Mode, Policy
from pgjit.sql.catalog import Catalog
from pgjit.sql.statement import Statement

__all__ = ["Explanation", "condition_of", "explain", "explained", "read_lines", "recorded_text", "remarks_on"]

_MOST_TOUCHED = 2000
"""Objects of one statement that an answer over HTTP lists."""

_NAMING = {"execute": "prepared", "fetch": "declared"}
_MAKES = {"prepare": "execute", "declare": "fetch"}


@dataclass(frozen=True, slots=True)
class Explanation:
    policy: Policy
    judgement: Judgement
    grounds: tuple[tuple[Ground, ...], ...]  # for each statement
    lines: dict[str, str]  # the text of the policy's lines, by their place

    def document(self, most: int | None = None) -> dict[str, object]:
        """`most`: objects that each statement lists; `touches_more` is the number of the others."""
        judgement = self.judgement
        return {
            "policy": self.policy.name,
            "mode": self.policy.mode,
            "decision": "allow" if judgement.allowed else "deny",
            "remarks": list(remarks_on(self.policy, judgement)),
            "violations": [_violation(judgement.text, violation) for violation in judgement.violations],
            "statements": [
                {
                    "index": statement.index,
                    "kind": statement.kind,
                    "sql": statement.text,
                    **({} if (recorded := recorded_text(statement)) is None else {"recorded": recorded}),
                    "touches": [self._touch(ground) for ground in grounds[:most]],
                    **({} if most is None else {"touches_more": max(0, len(grounds) - most)}),
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


def read_lines(path: str) -> list[str]:
    """The lines of a policy file; none if it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def explain(
    policy: Policy,
    judgement: Judgement,
    catalog: Catalog | None,
    passages: Passages,
    lines_in: Callable[[str], list[str]] = read_lines,
) -> Explanation:
    """`passages`: collected by the same judgement. `lines_in` returns the lines of a policy file, by its path."""
    grounds = explain_judgement(policy, judgement, catalog, passages)
    places = (ground.place for each in grounds for ground in each)
    return Explanation(policy, judgement, grounds, _lines(places, lines_in))


def explained(policy: Policy, sql: bytes, limit: int, catalog: Catalog | None, text: str) -> dict[str, object]:
    """The document of a statement's explanation. `text`: of the policy's file, which is not read again."""
    passages = Passages()
    judgement = assess(policy, sql, limit, catalog, passages=passages)
    whole = explain(policy, judgement, catalog, passages, lambda _path: text.splitlines())
    return whole.document(most=_MOST_TOUCHED)


def recorded_text(statement: Statement) -> str | None:
    """The text that its record would have, if the policy redacts."""
    redacted = None if statement.summary is None else statement.summary.redacted
    return None if redacted is None else redacted.text


def _lines(places: Iterable[str | None], lines_in: Callable[[str], list[str]]) -> dict[str, str]:
    """The text of the line at each place, if there is one."""
    found: dict[str, str] = {}
    files: dict[str, list[str]] = {}
    for place in sorted({place for place in places if place}):
        path, number, _ = place.rsplit(":", 2)
        if path not in files:
            files[path] = lines_in(path)
        if 0 < int(number) <= len(files[path]):
            found[place] = files[path][int(number) - 1].strip()
    return found


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


def remarks_on(policy: Policy, judgement: Judgement) -> Iterator[str]:
    """What is to be known beside the decision, in sentences."""
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
    if condition := condition_of(judgement):
        yield f"it runs {condition}"
        yield "the name must have been prepared or declared, and judged, in the same session"


def condition_of(judgement: Judgement) -> str | None:
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
