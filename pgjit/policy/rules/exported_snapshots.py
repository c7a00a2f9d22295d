"""Exported snapshots.

`pg_export_snapshot` and SET TRANSACTION SNAPSHOT are refused. A policy may switch the rule off, or name
`pg_export_snapshot` under `allow`: then both may be used.

Why: PostgreSQL writes a file for each exported snapshot and keeps it until the transaction ends; as long as one is
held, VACUUM removes nothing that it can see.

Instead: `BEGIN ISOLATION LEVEL REPEATABLE READ` gives a consistent view over the statements of one session. DuckDB's
scanner exports a snapshot for its other threads: ask for the switch, or scan with one thread.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import Violation
from pgjit.policy.families import family_of
from pgjit.policy.match import grounds_of_name, kinds_of
from pgjit.policy.policy import StatementTerms
from pgjit.policy.preset import Preset
from pgjit.policy.rule import Rule
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.statement import Statement

__all__ = ["RULE"]

_FUNCTION = ("pg_catalog", "pg_export_snapshot")


def _check(statement: Statement, terms: StatementTerms, _touched: ReferencedObjects | None) -> Iterator[Violation]:
    if grounds_of_name(terms, "functions", _FUNCTION, kinds_of(statement)) is not None:
        return
    for function in statement.functions:
        if family_of(function) == "exported-snapshots":
            yield _violation(statement, f"function `{function.text}`", function.position)
    for setting in statement.settings:
        if setting.name == "transaction snapshot":
            yield _violation(statement, "SET TRANSACTION SNAPSHOT", setting.position)


def _violation(statement: Statement, what: str, position: int | None) -> Violation:
    return Violation(
        rule="exported-snapshots",
        message=f"{what} is not allowed under this policy",
        detail="An exported snapshot is a file on the server, and keeps VACUUM from removing rows.",
        hint="Begin with ISOLATION LEVEL REPEATABLE READ, or ask for `rules: {exported-snapshots: false}`.",
        position=position or statement.position + 1,
        statement=statement.index,
    )


RULE = Rule("exported-snapshots", __doc__, _check, switch=frozenset({Preset.READ_ONLY, Preset.READ_WRITE}))
