"""Statements that are nested too deeply.

A statement's syntax tree may have `at_most` levels. `SELECT 1` has seven; a subquery adds four or more, a call or an
operator two. A statement that is too deep for the parser is refused in any case.

Why: reading and planning a deep tree costs memory at every level, on the server as well. No question that people ask
is that deep.

Instead: write long chains of operators as lists (`IN`, `= ANY`), and subqueries inside subqueries as a WITH query.
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

__all__ = ["RULE", "StatementDepthOptions"]


class StatementDepthOptions(RuleOptions):
    at_most: int = Field(500, ge=1, strict=True, description="Levels of the syntax tree.")


def _check(
    statement: Statement, terms: StatementTerms, _referenced: ReferencedObjects | None, _passages: Passages | None
) -> Iterator[Violation]:
    most = terms.options("statement-depth", StatementDepthOptions).at_most
    if statement.shape.depth > most:
        yield Violation(
            rule="statement-depth",
            message=f"statement of {statement.shape.depth} levels is nested more deeply than this policy allows",
            detail=f"The syntax tree may have {most} levels.",
            hint="Write chains of operators as lists, and subqueries inside subqueries as a WITH.",
            position=statement.position + 1,
            sqlstate="54001",
            statement=statement.index,
            objects=STATEMENT,
        )


RULE = Rule(
    "statement-depth", __doc__, _check, options=StatementDepthOptions,
    switch=frozenset({Preset.READ_ONLY, Preset.READ_WRITE}),
)  # fmt: skip
