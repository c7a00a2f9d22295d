"""What the tests of policies left out: rules, policies, and lines of policies that decided nothing. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from pgjit.policy.load import Policies
from pgjit.policy.rules import RULES
from pgjit.policy.suite import CaseOutcome

__all__ = ["Coverage", "coverage_of"]


@dataclass(frozen=True, slots=True)
class Coverage:
    """What no test touched."""

    rules: tuple[str, ...]
    policies: tuple[str, ...]
    lines: tuple[str, ...]  # file:line:column of entries of `allow` and `deny`

    def document(self) -> dict[str, object]:
        return {"rules": self.rules, "policies": self.policies, "lines": self.lines}


def coverage_of(policies: Policies, outcomes: Collection[CaseOutcome]) -> Coverage:
    """Of outcomes that came out as expected: a test that fails shows nothing."""
    good = [outcome for outcome in outcomes if outcome.passed]
    rules = {rule for outcome in good for rule in outcome.rules}
    asked = {outcome.policy for outcome in good}
    decided = {place for outcome in good for place in outcome.places}
    entries = [each for policy in policies.values() for each in (*policy.statements.allow, *policy.statements.deny)]
    return Coverage(
        rules=tuple(rule for rule in RULES if rule not in rules),
        policies=tuple(name for name in sorted(policies) if name not in asked),
        lines=tuple(entry.place for entry in entries if entry.place not in decided),
    )
