"""Large objects.

Functions that create, read, write or remove a large object are refused: `lo_create`, `lo_get`, `lo_put`, `loread` and
the like. A policy of `read-write` access may switch the rule off, or name single functions under `allow`.
`lo_import` and `lo_export` use the server's files: `function-call` judges them.

Why: before PostgreSQL 16 a read-only transaction does not stop these functions. Any role may create large objects,
and no rule on relations covers their contents.

Instead: keep contents in a column of type `bytea`.
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
        if family_of(function) != "large-objects":
            continue
        name = ("pg_catalog", function.builtin)
        place = find_permission_for_name(terms, "functions", name, collect_kinds(statement))
        if place is None:
            yield Violation(
                rule="large-objects",
                message=f"function `{function.text}` is not allowed under this policy",
                detail="Before PostgreSQL 16 a read-only transaction does not stop writes to large objects.",
                hint="Read contents from a column, or ask for the function to be named in the policy.",
                position=function.position or statement.position + 1,
                statement=statement.index,
                objects=(JudgedObject("function", function.parts),),
            )
        elif passages is not None:
            passages.add(statement, place, "function", function.parts)


RULE = Rule("large-objects", __doc__, _check, switch=frozenset({Preset.READ_WRITE}))
