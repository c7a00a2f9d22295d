"""May this message run under this policy: every rule over every statement. Pure.

INVARIANT: a message runs only when no rule found anything in any of its statements, so one more rule can only
refuse more. Under `access: full` no rule is asked: such a policy records, and refuses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from pgjit.policy.decision import Allow, Decision, Deny, Violation
from pgjit.policy.policy import Access, Policy, StatementTerms
from pgjit.policy.rule import Rule
from pgjit.policy.rules import RULES
from pgjit.sql.statement import Message

__all__ = ["MOST", "evaluate"]

MOST = 100
"""Violations that are told of one message: what refuses it is recorded, and a record has to stay readable."""


def evaluate(policy: Policy, message: Message, rules: Iterable[Rule] = tuple(RULES.values())) -> Decision:
    """Allow, or Deny with every violation, up to `MOST`. All statements of a message run, or none."""
    if policy.statements.access is Access.FULL:
        return Allow()
    violations = tuple(islice(_violations(policy.statements, message, tuple(rules)), MOST))
    return Deny(violations) if violations else Allow()


def _violations(terms: StatementTerms, message: Message, rules: tuple[Rule, ...]) -> Iterator[Violation]:
    for statement in message.statements:
        for rule in rules:
            yield from rule.check(statement, terms)
