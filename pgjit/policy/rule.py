"""The contract of a rule: it looks at one statement's facts under a policy's terms, and says what it found.

INVARIANT: rules are independent. A statement runs when none of them found anything, so that one more rule can
only refuse more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pgjit.policy.decision import Violation
from pgjit.policy.policy import StatementTerms
from pgjit.sql.statement import Statement

__all__ = ["Check", "Rule"]

Check = Callable[[Statement, StatementTerms], Iterator[Violation]]


@dataclass(frozen=True, slots=True)
class Rule:
    name: str  # kebab-case; the reference of its violations, its file, its page
    check: Check
