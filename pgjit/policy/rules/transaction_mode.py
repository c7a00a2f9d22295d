"""Transaction modes.

READ WRITE is refused under `read-only` access in BEGIN, START TRANSACTION, SET TRANSACTION and SET SESSION
CHARACTERISTICS. Two-phase commit is refused except under `access: full`.

Why: a session is read-only by its startup parameters, and READ WRITE overrides them. A prepared transaction outlives
the window in which it was made.

Instead: write BEGIN without a mode, or with READ ONLY and an isolation level.
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

_KINDS = frozenset(
    f"kind=TRANS_STMT_{kind}"
    for kind in ("BEGIN", "START", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "ROLLBACK_TO")
)
_READ_WRITE = "transaction_read_only=0"
_MODES = ("transaction_isolation=", "transaction_deferrable=", "transaction_read_only=1")


def _check(
    statement: Statement, terms: StatementTerms, _referenced: ReferencedObjects | None, _passages: Passages | None
) -> Iterator[Violation]:
    for option in sorted(statement.options):
        if option in _KINDS or option.startswith(_MODES):
            continue
        if option == _READ_WRITE and terms.access is Preset.READ_WRITE:
            continue
        writing = option == _READ_WRITE
        yield Violation(
            rule="transaction-mode",
            message="READ WRITE is not allowed under this policy"
            if writing
            else "this transaction control is not allowed",
            detail="The policy gives read-only access." if writing else "Prepared transactions outlive the session.",
            hint="Begin without READ WRITE." if writing else "Use BEGIN, COMMIT, ROLLBACK and savepoints.",
            position=statement.position + 1,
            statement=statement.index,
            objects=STATEMENT,
        )


RULE = Rule("transaction-mode", __doc__, _check)
