"""Procedural code.

DO blocks and calls of procedures are refused, at the top of a message and inside another statement.

Why: the code of a DO block is a text that no rule reads, and a procedure may do what its owner may. Both can end
the transaction and begin another one in another mode, so that a read-only transaction does not hold them.

Instead: send the statements themselves, one by one or in one message. A calculation can be a query with WITH.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import Violation
from pgjit.policy.kinds import PROCEDURAL
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.statement import Statement
from pgjit.sql.touched import Touched

__all__ = ["RULE"]


def _check(statement: Statement, _terms: StatementTerms, _touched: Touched | None) -> Iterator[Violation]:
    for kind in dict.fromkeys((statement.kind, *statement.inner)):
        if kind in PROCEDURAL:
            yield Violation(
                rule="procedural-code",
                message=f"{kind.upper()} is not allowed under this policy",
                detail="What is in the code of a block or a procedure cannot be judged.",
                hint="Send the statements themselves.",
                position=statement.position + 1,
                statement=statement.index,
            )


RULE = Rule("procedural-code", __doc__, _check)
