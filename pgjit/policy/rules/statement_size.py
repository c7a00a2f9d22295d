"""Statements that are too long.

A statement may have `at_most` bytes of text. The proxy also has a limit for whole messages, which no policy raises.

Why: the cost of parsing a statement, planning it and keeping its record grows with its length. Values belong in
parameters.

Instead: send values as parameters, long lists as one array (`= ANY ($1)`), and rows in several statements or by COPY.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from pgjit.policy.decision import STATEMENT, Violation
from pgjit.policy.options import RuleOptions
from pgjit.policy.passages import Passages
from pgjit.policy.policy import StatementTerms
from pgjit.policy.preset import Preset
from pgjit.policy.rule import Rule
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.statement import Statement

__all__ = ["RULE", "StatementSizeOptions"]


class StatementSizeOptions(RuleOptions):
    at_most: int = Field(262_144, ge=1, strict=True, description="Bytes of one statement.")


def _check(
    statement: Statement, terms: StatementTerms, _referenced: ReferencedObjects | None, _passages: Passages | None
) -> Iterator[Violation]:
    most = terms.options("statement-size", StatementSizeOptions).at_most
    size = len(statement.text.encode())
    if size > most:
        yield Violation(
            rule="statement-size",
            message=f"statement of {size} bytes is longer than this policy allows",
            detail=f"A statement may have {most} bytes.",
            hint="Send values as parameters, or in several statements.",
            position=statement.position + 1,
            sqlstate="54000",
            statement=statement.index,
            objects=STATEMENT,
        )


RULE = Rule(
    "statement-size", __doc__, _check, options=StatementSizeOptions,
    on=frozenset(), switch=frozenset({Preset.READ_ONLY, Preset.READ_WRITE}),
)  # fmt: skip
