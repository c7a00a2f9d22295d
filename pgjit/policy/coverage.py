"""What the tests of policies leave out: rules, policies, and entries that decided nothing. Pure.

An entry is covered if a rule let an object pass because of it, or refused one because of it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from pgjit.policy.load import Policies
from pgjit.policy.rules import RULES
from pgjit.policy.suite import CaseOutcome

__all__ = ["Coverage", "coverage_of"]


@dataclass(frozen=True, slots=True)
class Coverage:
    """What no test covers."""

    rules: tuple[str, ...]
    policies: tuple[str, ...]
    lines: tuple[str, ...]  # file:line:column of entries of `allow` and `deny`

    def document(self) -> dict[str, object]:
        return {"rules": self.rules, "policies": self.policies, "lines": self.lines}


def coverage_of(policies: Policies, outcomes: Collection[CaseOutcome]) -> Coverage:
    """Only tests that pass count."""
    good = [outcome for outcome in outcomes if outcome.passed]
    rules = {rule for outcome in good for rule in outcome.rules}
    tested = {outcome.policy for outcome in good}
    decided = {place for outcome in good for place in outcome.places}
    entries = [each for policy in policies.values() for each in (*policy.statements.allow, *policy.statements.deny)]
    return Coverage(
        rules=tuple(rule for rule in RULES if rule not in rules),
        policies=tuple(name for name in sorted(policies) if name not in tested),
        lines=tuple(entry.place for entry in entries if entry.place not in decided),
    )
