"""SELECT INTO, at any depth: it creates a table."""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import Violation
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.statement import Statement

__all__ = ["RULE"]


def _check(statement: Statement, _terms: StatementTerms) -> Iterator[Violation]:
    if statement.into:
        yield Violation(
            rule="select-into",
            message="SELECT INTO is not allowed",
            detail="It creates a table.",
            hint="Leave INTO out and read the rows.",
            position=statement.position + 1,
            statement=statement.index,
        )


RULE = Rule("select-into", _check)
