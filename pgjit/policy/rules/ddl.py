"""Statements that define objects.

CREATE, ALTER, DROP, TRUNCATE, COMMENT, GRANT, REVOKE, REFRESH MATERIALIZED VIEW and every other statement that
makes, changes or takes away an object or a right, at the top of a message and inside another statement. Under
`read-write` a policy may allow kinds of them, some for named relations only; never inside another statement.

Why: what such a statement does cannot be undone with data, holds up everybody who uses the object, and can leave
code behind that runs with somebody else's rights later. Temporary tables can stand in the place of real ones.

Instead: have schema changes made by a migration under review, under a policy that allows them:
`{kinds: [ddl-table, create-index], relations: ["staging.*"]}`. What is needed twice can be written as a WITH.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import Violation
from pgjit.policy.kinds import DDL, UNREAD
from pgjit.policy.match import kind_grounds, narrowed
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.statement import Statement

__all__ = ["RULE"]


def _check(statement: Statement, terms: StatementTerms, _touched: ReferencedObjects | None) -> Iterator[Violation]:
    allowed = kind_grounds(terms, statement.kind) is not None
    if statement.kind in DDL and not allowed:
        yield _violation(statement, statement.kind, terms)
    for kind in statement.inner:
        # What is inside a statement that is allowed whole, such as CREATE SCHEMA, is allowed by its own kind, where
        # that is allowed for all relations: it makes them in a schema that no entry has named.
        whole = allowed and statement.kind in UNREAD and not narrowed(terms, kind)
        if kind in DDL and kind != statement.kind and not (whole and kind_grounds(terms, kind) is not None):
            yield _violation(statement, kind, terms)


def _violation(statement: Statement, kind: str, terms: StatementTerms) -> Violation:
    inside = kind != statement.kind
    return Violation(
        rule="ddl",
        message=f"{kind.replace('-', ' ').upper()}{' inside another statement' if inside else ''} "
        "is not allowed under this policy",
        detail=f"Under {terms.access.value} access no object may be defined, changed or taken away, but for what the "
        "policy allows.",
        hint=_hint(statement, kind),
        position=statement.position + 1,
        statement=statement.index,
    )


def _hint(statement: Statement, kind: str) -> str:
    if "relpersistence=t" in statement.clauses:
        return "Write WITH name AS (SELECT ...) before the query that reads it, in place of a temporary object."
    if kind == "refresh-materialized-view":
        return "Read the query of the view itself: pg_get_viewdef shows it."
    return "Read with SELECT; for a changed schema ask for a migration, or for a policy that allows it."


RULE = Rule("ddl", __doc__, _check)
