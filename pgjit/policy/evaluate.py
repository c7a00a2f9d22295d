"""May this message run under this policy: every rule over every statement. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from pgjit.policy.decision import Allow, Decision, Deny
from pgjit.policy.policy import Policy
from pgjit.policy.rule import Rule
from pgjit.policy.rules import RULES
from pgjit.sql.statement import Message

__all__ = ["evaluate"]


def evaluate(policy: Policy, message: Message, rules: Iterable[Rule] = tuple(RULES.values())) -> Decision:
    """Allow when no rule found anything in any statement: all statements of a message run, or none."""
    violations = tuple(
        violation
        for statement in message.statements
        for rule in rules
        for violation in rule.check(statement, policy.statements)
    )
    return Deny(violations) if violations else Allow()
