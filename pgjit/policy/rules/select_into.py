"""SELECT INTO.

SELECT ... INTO is refused at any depth, also in the arms of a UNION and under EXPLAIN.

Why: it creates a table.

Instead: leave INTO out, read the rows, and keep them on your side.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import STATEMENT, Violation
from pgjit.policy.passages import Passages
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.statement import Statement

__all__ = ["RULE"]


def _check(
    statement: Statement, _terms: StatementTerms, _referenced: ReferencedObjects | None, _passages: Passages | None
) -> Iterator[Violation]:
    if statement.into:
        yield Violation(
            rule="select-into",
            message="SELECT INTO is not allowed",
            detail="It creates a table.",
            hint="Leave INTO out and read the rows; to use them again write WITH name AS (SELECT ...).",
            position=statement.position + 1,
            statement=statement.index,
            objects=STATEMENT,
        )


RULE = Rule("select-into", __doc__, _check)
