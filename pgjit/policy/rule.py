"""The contract of a rule: it takes one statement's facts and a policy's terms, and yields violations.

INVARIANT: rules are independent. A statement runs if none of them yields a violation, so one more rule can only
refuse more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pgjit.policy.decision import Violation
from pgjit.policy.options import RuleOptions
from pgjit.policy.passages import Passages
from pgjit.policy.policy import StatementTerms
from pgjit.policy.preset import Preset
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.statement import Message, Statement

__all__ = ["JUDGED", "Check", "MessageCheck", "Rule"]

Check = Callable[[Statement, StatementTerms, ReferencedObjects | None, Passages | None], Iterator[Violation]]
"""`ReferencedObjects` is None where no names were resolved: without a catalog, and no relations in the policy. A rule
reports to `Passages` what it lets pass because of an entry. It decides the same where that is None."""
MessageCheck = Callable[[Message, StatementTerms], Iterator[Violation]]

JUDGED = frozenset({Preset.READ_ONLY, Preset.READ_WRITE})
"""The presets under which rules are applied."""


def _find_nothing(
    _statement: Statement, _terms: StatementTerms, _referenced: ReferencedObjects | None, _passages: Passages | None
) -> Iterator[Violation]:
    yield from ()


@dataclass(frozen=True, slots=True)
class Rule:
    name: str  # kebab-case; the reference of its violations, its file, its page
    doc: str | None  # its module's docstring, which becomes its page
    check: Check = _find_nothing
    message: MessageCheck | None = None  # checks the message as a whole
    options: type[RuleOptions] = RuleOptions
    on: frozenset[Preset] = JUDGED  # the presets under which it is applied, unless the policy switches it
    switch: frozenset[Preset] = frozenset()  # the presets under which a policy may switch it

    @property
    def summary(self) -> str:
        return (self.doc or "").partition("\n")[0].rstrip(".:")

    def applies(self, terms: StatementTerms) -> bool:
        given = terms.switches.get(self.name)
        if given is None or terms.access not in self.switch:
            return terms.access in self.on
        return given.enabled
