"""pgjit's own settings.

`SHOW pgjit.window` and the other settings of pgjit (`policy`, `identity`, `remaining`, `limits`, `allowed`,
`request`) are refused in a message with other statements, inside another statement, or misspelt.

Why: pgjit answers them itself. It can answer a message, or forward it to the server, but not both.

Instead: send `SHOW pgjit.window` as a message of its own.
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
    if statement.shown is not None and statement.shown.lower().startswith("pgjit."):
        yield Violation(
            rule="own-setting",
            message=f"`SHOW {statement.shown}` is answered by pgjit and must come alone",
            hint="Send it as a message of its own.",
            position=statement.position + 1,
            statement=statement.index,
            objects=STATEMENT,
        )


RULE = Rule("own-setting", __doc__, _check)
