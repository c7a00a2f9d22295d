"""Kinds of statements.

A policy allows kinds of statements. Every other kind is refused, at the top of a message and inside EXPLAIN, PREPARE,
DECLARE, COPY and WITH.

- `read-only`: SELECT (also VALUES and TABLE), EXPLAIN, SHOW, SET and RESET, BEGIN, COMMIT, ROLLBACK and savepoints,
  DECLARE, FETCH, MOVE and CLOSE, PREPARE, EXECUTE and DEALLOCATE, DISCARD, UNLISTEN, COPY ... TO STDOUT
- `read-write`: these, and INSERT, UPDATE, DELETE, MERGE, COPY ... FROM STDIN
- `full`: anything; no rule is applied

Under `read-only` and `read-write` a policy may add kinds by name: `{kinds: [vacuum], relations: ["staging.*"]}`.

EXPLAIN EXECUTE is allowed, because the statement behind the name was judged when it was prepared. If that is no
SELECT, INSERT, UPDATE, DELETE or MERGE, the EXPLAIN is refused when it runs.

Why: a read-only transaction does not stop everything that it seems to stop. VACUUM, NOTIFY, ALTER SYSTEM and a DO
block that begins a new transaction all run in one. `EXPLAIN ANALYZE CREATE TABLE AS` leaves a table behind on
PostgreSQL 15.

Instead: read with SELECT. To change rows, ask for a policy with `access: read-write`. Other kinds, DDL, DO and CALL
included, run where the policy names them, or under `access: full`.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import JudgedObject, Violation
from pgjit.policy.kinds import DDL, PROCEDURAL, WRITES, preset_kinds
from pgjit.policy.match import find_permission_for_kind
from pgjit.policy.passages import Passages
from pgjit.policy.policy import Preset, StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.statement import Statement

__all__ = ["RULE"]

_INSIDE = frozenset({"select", "return"})  # allowed inside other statements, besides kinds that write
_EXPLAINS = frozenset({"explain", "explain-analyze"})
_INSTEAD_OF = {
    "alter-system": "pg_settings shows what is set; this session's own settings are changed with SET.",
    "analyze": "The server keeps its statistics itself: last_autoanalyze is in pg_stat_user_tables.",
    "checkpoint": "Leave it out: nothing that is read depends on it.",
    "cluster": "Leave it out and read with ORDER BY.",
    "listen": "Ask again with SELECT after a while: messages of other sessions are not waited for here.",
    "load": "Leave it out: what an extension needs is loaded when it is used.",
    "lock": "Leave it out: reading waits for no writer. For several queries of one state of the data write BEGIN "
    "ISOLATION LEVEL REPEATABLE READ.",
    "notify": "Leave it out: this session has nobody to notify.",
    "reindex": "Leave it out: EXPLAIN shows which indexes are used, pg_stat_user_indexes how often.",
    "set-constraints": "Leave it out: nothing is written here.",
    "vacuum": "The server does that itself: n_dead_tup and last_autovacuum are in pg_stat_user_tables.",
}
"""Hints for kinds that `access: read-write` does not allow either, by the likely purpose of the statement."""
_JUDGED_ELSEWHERE = DDL | PROCEDURAL


def _check(
    statement: Statement, terms: StatementTerms, _referenced: ReferencedObjects | None, passages: Passages | None
) -> Iterator[Violation]:
    allowed = preset_kinds(terms.access)
    if statement.kind not in _JUDGED_ELSEWHERE:
        place = find_permission_for_kind(terms, statement.kind)
        if place is None:
            yield _violation(statement, statement.kind, terms)
        elif passages is not None:
            passages.add(statement, place, "kind", (statement.kind,))
    for kind in statement.inner:
        if kind == "execute" and statement.kind in _EXPLAINS and DDL.isdisjoint(statement.inner):
            continue  # the prepared statement was judged, and is checked again when it runs
        if kind not in _INSIDE | (allowed & WRITES) | _JUDGED_ELSEWHERE:
            yield _violation(statement, kind, terms, inside=True)


def _violation(statement: Statement, kind: str, terms: StatementTerms, *, inside: bool = False) -> Violation:
    name = kind.replace("-", " ").upper()
    where = f" inside {statement.kind.replace('-', ' ').upper()}" if inside else ""
    reading = terms.access is Preset.READ_ONLY
    hint = _INSTEAD_OF.get(kind)
    if hint is None and not reading:
        hint = "SELECT, INSERT, UPDATE, DELETE, MERGE and COPY are allowed."
    return Violation(
        rule="statement-kind",
        message=f"{name}{where} is not allowed under this policy",
        detail=f"The policy gives {terms.access.value} access.",
        hint=hint or "Read with SELECT; to change data, ask for a policy that may write.",
        position=statement.position + 1,
        statement=statement.index,
        objects=(JudgedObject("kind", (kind,)),),
    )


RULE = Rule("statement-kind", __doc__, _check)
