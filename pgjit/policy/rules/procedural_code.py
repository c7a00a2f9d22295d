"""Procedural code.

DO blocks and calls of procedures are refused, at the top of a message and inside another statement. A policy may
allow `call` for the procedures that it names. Under `read-write` it may allow `do` as a whole.

Why: the code of a DO block is a text that no rule reads, and a procedure may do what its owner may do. Both can end
the transaction and begin another one in another mode, so a read-only transaction does not bind them.

Instead: send the statements themselves, one by one or in one message. A calculation can be a query with WITH. For a
procedure ask for `{kinds: [call], functions: [schema.name]}` in the policy.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import JudgedObject, Violation
from pgjit.policy.kinds import PROCEDURAL
from pgjit.policy.match import find_permission_for_kind
from pgjit.policy.passages import Passages
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.statement import Statement

__all__ = ["RULE"]


def _check(
    statement: Statement, terms: StatementTerms, _referenced: ReferencedObjects | None, passages: Passages | None
) -> Iterator[Violation]:
    for kind in dict.fromkeys((statement.kind, *statement.inner)):
        if kind not in PROCEDURAL:
            continue
        place = find_permission_for_kind(terms, kind) if kind == statement.kind else None
        if place is None:
            yield Violation(
                rule="procedural-code",
                message=f"{kind.upper()} is not allowed under this policy",
                detail="The code of a block or a procedure cannot be judged.",
                hint="Send the statements themselves; a procedure can be named in the policy.",
                position=statement.position + 1,
                statement=statement.index,
                objects=(JudgedObject("kind", (kind,)),),
            )
        elif passages is not None:
            passages.add(statement, place, "kind", (kind,))


RULE = Rule("procedural-code", __doc__, _check)
