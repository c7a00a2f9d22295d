"""Sequences.

`nextval`, `setval`, `currval` and `lastval` are refused. A policy of `read-write` access may switch the rule off, or
name single functions under `allow`. Column defaults that use a sequence still work.

Why: these functions write. `setval` makes later inserts of others fail, and a number that `nextval` takes is gone.

Instead: leave the column out of an INSERT, or write DEFAULT, which uses the sequence. `pg_sequences` shows the last
value of a sequence.
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
        if family_of(function) != "sequences":
            continue
        name = ("pg_catalog", function.builtin)
        place = find_permission_for_name(terms, "functions", name, collect_kinds(statement))
        if place is None:
            yield Violation(
                rule="sequences",
                message=f"function `{function.text}` is not allowed under this policy",
                detail="It changes a sequence, or returns a value that this session took from one.",
                hint="Leave the column out or write DEFAULT, and read pg_sequences for the last value.",
                position=function.position or statement.position + 1,
                statement=statement.index,
                objects=(JudgedObject("function", function.parts),),
            )
        elif passages is not None:
            passages.add(statement, place, "function", function.parts)


RULE = Rule("sequences", __doc__, _check, switch=frozenset({Preset.READ_WRITE}))
