"""COPY with a file or a program on the server: only TO STDOUT and FROM STDIN are the client's."""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import Violation
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.statement import Statement

__all__ = ["RULE"]


def _check(statement: Statement, _terms: StatementTerms) -> Iterator[Violation]:
    if statement.outside:
        yield Violation(
            rule="copy-outside",
            message="COPY with a file or a program on the server is not allowed",
            hint="Use COPY ... TO STDOUT, or FROM STDIN under a policy that may write.",
            position=statement.position + 1,
            statement=statement.index,
        )


RULE = Rule("copy-outside", _check)
