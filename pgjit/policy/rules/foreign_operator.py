"""Operators written with a schema of their own: an operator is a function call in disguise."""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import Violation
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.statement import Statement

__all__ = ["RULE"]


def _check(statement: Statement, _terms: StatementTerms) -> Iterator[Violation]:
    for operator in statement.operators:
        if operator.parts[0] != "pg_catalog" or len(operator.parts) != 2:
            yield Violation(
                rule="foreign-operator",
                message=f"operator `{operator.text}` is not a built-in operator",
                detail="A user-defined operator runs a function.",
                hint="Use a built-in operator.",
                position=operator.position,
                statement=statement.index,
            )


RULE = Rule("foreign-operator", _check)
