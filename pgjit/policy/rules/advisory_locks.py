"""Advisory locks.

The functions that take or release an advisory lock are refused: `pg_advisory_lock`, `pg_try_advisory_lock`, their
variants for transactions and shared locks, and `pg_advisory_unlock`. `pg_advisory_unlock_all` may be called. A policy
may name single functions under `allow`, or switch the rule off.

Why: applications use advisory locks to exclude each other. A session that holds such a lock can stop a migration, a
queue or a scheduler, and no table shows it.

Instead: read without a lock. `BEGIN ISOLATION LEVEL REPEATABLE READ` gives several statements the same view of the
data.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import JudgedObject, Violation
from pgjit.policy.families import family_of
from pgjit.policy.match import collect_kinds, find_permission_for_name
from pgjit.policy.passages import Passages
from pgjit.policy.policy import StatementTerms
from pgjit.policy.preset import Preset
from pgjit.policy.rule import Rule
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.statement import Statement

__all__ = ["RULE"]


def _check(
    statement: Statement, terms: StatementTerms, _referenced: ReferencedObjects | None, passages: Passages | None
) -> Iterator[Violation]:
    for function in statement.functions:
        if family_of(function) != "advisory-locks":
            continue
        name = ("pg_catalog", function.builtin)
        place = find_permission_for_name(terms, "functions", name, collect_kinds(statement))
        if place is None:
            yield Violation(
                rule="advisory-locks",
                message=f"function `{function.text}` is not allowed under this policy",
                detail="An advisory lock can block applications that use the same lock.",
                hint="Leave it out, or ask for the function to be named in the policy.",
                position=function.position or statement.position + 1,
                statement=statement.index,
                objects=(JudgedObject("function", function.parts),),
            )
        elif passages is not None:
            passages.add(statement, place, "function", function.parts)


RULE = Rule("advisory-locks", __doc__, _check, switch=frozenset({Preset.READ_ONLY, Preset.READ_WRITE}))
