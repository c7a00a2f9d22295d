"""Statements that define objects.

CREATE, ALTER, DROP, TRUNCATE, COMMENT, GRANT, REVOKE, REFRESH MATERIALIZED VIEW and every other statement that
creates, changes or removes an object or a right are refused, at the top of a message and inside other statements.
Under `read-write` a policy may allow kinds of them, some of them for named relations only. It cannot allow them
inside other statements.

Why: DDL cannot be undone by writing data, and it locks out everybody who uses the object. It can leave code behind
that later runs with another role's rights. A temporary table can hide the real table of the same name.

Instead: have schema changes made by a reviewed migration, under a policy that allows them:
`{kinds: [ddl-table, create-index], relations: ["staging.*"]}`. A result that is needed twice in one statement can be
written as a WITH query.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import JudgedObject, Violation
from pgjit.policy.kinds import DDL, UNREAD
from pgjit.policy.match import find_permission_for_kind, is_narrowed
from pgjit.policy.passages import Passages
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.statement import Statement

__all__ = ["RULE"]


def _check(
    statement: Statement, terms: StatementTerms, _referenced: ReferencedObjects | None, passages: Passages | None
) -> Iterator[Violation]:
    place = find_permission_for_kind(terms, statement.kind)
    if statement.kind in DDL:
        if place is None:
            yield _violation(statement, statement.kind, terms)
        elif passages is not None:
            passages.add(statement, place, "kind", (statement.kind,))
    for kind in statement.inner:
        # A statement inside one that is allowed as a whole, such as CREATE SCHEMA, is allowed if its kind is allowed
        # for all relations: it creates them in a schema that no entry names.
        whole = place is not None and statement.kind in UNREAD and not is_narrowed(terms, kind)
        inner_place = find_permission_for_kind(terms, kind) if whole else None
        if kind not in DDL or kind == statement.kind:
            continue
        if inner_place is None:
            yield _violation(statement, kind, terms)
        elif passages is not None:
            passages.add(statement, inner_place, "kind", (kind,))


def _violation(statement: Statement, kind: str, terms: StatementTerms) -> Violation:
    inside = kind != statement.kind
    return Violation(
        rule="ddl",
        message=f"{kind.replace('-', ' ').upper()}{' inside another statement' if inside else ''} "
        "is not allowed under this policy",
        detail=f"Under {terms.access.value} access no object may be created, changed or dropped, unless the policy "
        "allows it.",
        hint=_hint(statement, kind),
        position=statement.position + 1,
        statement=statement.index,
        objects=(JudgedObject("kind", (kind,)),),
    )


def _hint(statement: Statement, kind: str) -> str:
    if "relpersistence=t" in statement.clauses:
        return "Write WITH name AS (SELECT ...) before the query that reads it, in place of a temporary object."
    if kind == "refresh-materialized-view":
        return "Read the query of the view itself: pg_get_viewdef shows it."
    return "Read with SELECT; for a changed schema ask for a migration, or for a policy that allows it."


RULE = Rule("ddl", __doc__, _check)
