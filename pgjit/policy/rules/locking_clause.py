"""Row locks.

FOR UPDATE, FOR NO KEY UPDATE, FOR SHARE and FOR KEY SHARE are refused at any depth under `read-only` access.

Why: they write to the rows that they lock, and block everybody who writes to those rows.

Instead: leave the clause out. `BEGIN ISOLATION LEVEL REPEATABLE READ` gives several statements the same view of the
data.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import STATEMENT, Violation
from pgjit.policy.passages import Passages
from pgjit.policy.policy import Preset, StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.statement import Statement

__all__ = ["RULE"]


def _check(
    statement: Statement, _terms: StatementTerms, _referenced: ReferencedObjects | None, _passages: Passages | None
) -> Iterator[Violation]:
    if statement.locking:
        yield Violation(
            rule="locking-clause",
            message="row locks are not allowed under this policy",
            detail="FOR UPDATE, FOR NO KEY UPDATE, FOR SHARE and FOR KEY SHARE write to the rows that they lock.",
            hint="Leave the locking clause out.",
            position=statement.position + 1,
            statement=statement.index,
            objects=STATEMENT,
        )


# Under `read-only` the server refuses them as well. Under `read-write` a policy may switch the rule on.
RULE = Rule(
    "locking-clause", __doc__, _check,
    on=frozenset({Preset.READ_ONLY}), switch=frozenset({Preset.READ_WRITE}),
)  # fmt: skip
