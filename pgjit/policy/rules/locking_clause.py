"""FOR UPDATE, FOR SHARE and their kind, at any depth: they write to rows and hold up writers."""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import Violation
from pgjit.policy.policy import Access, StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.statement import Statement

__all__ = ["RULE"]


def _check(statement: Statement, terms: StatementTerms) -> Iterator[Violation]:
    if statement.locking and terms.access is Access.READ_ONLY:
        yield Violation(
            rule="locking-clause",
            message="row locks are not allowed under this policy",
            detail="FOR UPDATE, FOR NO KEY UPDATE, FOR SHARE and FOR KEY SHARE write to the rows that they lock.",
            hint="Leave the locking clause out.",
            position=statement.position + 1,
            statement=statement.index,
        )


RULE = Rule("locking-clause", _check)
