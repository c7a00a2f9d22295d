"""`SHOW pgjit.…` in a message with other statements: pgjit answers it only when it comes alone."""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import Violation
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.statement import Statement

__all__ = ["RULE"]


def _check(statement: Statement, _terms: StatementTerms) -> Iterator[Violation]:
    if statement.shown is not None and statement.shown.lower().startswith("pgjit."):
        yield Violation(
            rule="own-setting",
            message=f"`SHOW {statement.shown}` is answered by pgjit and must come alone",
            hint="Send it as a message of its own.",
            position=statement.position + 1,
            statement=statement.index,
        )


RULE = Rule("own-setting", _check)
