"""COPY outside.

COPY with a file or a program on the server is refused, except under `access: full`.

Why: it reads or writes files of the server, or runs a program there, with the rights of the server process.

Instead: use COPY ... TO STDOUT, which sends the rows to the client.
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
    if statement.outside:
        yield Violation(
            rule="copy-outside",
            message="COPY with a file or a program on the server is not allowed",
            hint="Use COPY ... TO STDOUT, or FROM STDIN under a policy that may write.",
            position=statement.position + 1,
            statement=statement.index,
            objects=STATEMENT,
        )


RULE = Rule("copy-outside", __doc__, _check)
