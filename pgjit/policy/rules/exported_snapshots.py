"""Exported snapshots.

`pg_export_snapshot` and SET TRANSACTION SNAPSHOT are refused. A policy may switch the rule off, or name
`pg_export_snapshot` under `allow`, which allows both.

Why: PostgreSQL writes a file for each exported snapshot and keeps it until the transaction ends. While a snapshot is
held, VACUUM cannot remove rows that it can see.

Instead: `BEGIN ISOLATION LEVEL REPEATABLE READ` gives the statements of one session the same view of the data.
DuckDB's scanner exports a snapshot for its other threads: ask for the switch, or scan with one thread.
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

_FUNCTION = ("pg_catalog", "pg_export_snapshot")
_SNAPSHOT = "transaction snapshot"


def _check(
    statement: Statement, terms: StatementTerms, _referenced: ReferencedObjects | None, passages: Passages | None
) -> Iterator[Violation]:
    place = find_permission_for_name(terms, "functions", _FUNCTION, collect_kinds(statement))
    for found, what, position in _uses(statement):
        if place is None:
            yield _violation(statement, found, what, position)
        elif passages is not None:
            passages.add(statement, place, found.sort, found.name)


def _uses(statement: Statement) -> Iterator[tuple[JudgedObject, str, int | None]]:
    for function in statement.functions:
        if family_of(function) == "exported-snapshots":
            yield JudgedObject("function", function.parts), f"function `{function.text}`", function.position
    for setting in statement.settings:
        if setting.name == _SNAPSHOT:
            yield JudgedObject("setting", ("", _SNAPSHOT)), "SET TRANSACTION SNAPSHOT", setting.position


def _violation(statement: Statement, found: JudgedObject, what: str, position: int | None) -> Violation:
    return Violation(
        rule="exported-snapshots",
        message=f"{what} is not allowed under this policy",
        detail="An exported snapshot is a file on the server, and keeps VACUUM from removing rows.",
        hint="Begin with ISOLATION LEVEL REPEATABLE READ, or ask for `rules: {exported-snapshots: false}`.",
        position=position or statement.position + 1,
        statement=statement.index,
        objects=(found,),
    )


RULE = Rule("exported-snapshots", __doc__, _check, switch=frozenset({Preset.READ_ONLY, Preset.READ_WRITE}))
