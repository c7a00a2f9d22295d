"""Kinds of statements off the policy's list, wherever they stand: at the top, in EXPLAIN, PREPARE, COPY or WITH.

Every kind that is not named here is refused, those that PostgreSQL will invent included.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import Violation
from pgjit.policy.policy import Access, StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.statement import Statement

__all__ = ["RULE"]

READING = frozenset({
    "select", "explain", "show", "set", "transaction", "declare", "fetch", "close", "prepare", "execute",
    "deallocate", "discard", "unlisten", "copy-out",
})  # fmt: skip
WRITING = frozenset({"insert", "update", "delete", "merge", "copy-in"})
_INSIDE = frozenset({"select"})  # what may stand inside another statement


def _check(statement: Statement, terms: StatementTerms) -> Iterator[Violation]:
    writes = WRITING if terms.access is Access.READ_WRITE else frozenset()
    if statement.kind not in READING | writes:
        yield _violation(statement, statement.kind, terms)
    for kind in statement.inner:
        if kind not in _INSIDE | writes:
            yield _violation(statement, kind, terms, inside=True)


def _violation(statement: Statement, kind: str, terms: StatementTerms, *, inside: bool = False) -> Violation:
    name = kind.replace("-", " ").upper()
    where = f" inside {statement.kind.replace('-', ' ').upper()}" if inside else ""
    reading = terms.access is Access.READ_ONLY
    return Violation(
        rule="statement-kind",
        message=f"{name}{where} is not allowed under this policy",
        detail=f"The policy gives {terms.access.value} access.",
        hint="Read with SELECT; to change data, ask for a policy that may write."
        if reading
        else "SELECT, INSERT, UPDATE, DELETE, MERGE and COPY are allowed.",
        position=statement.position + 1,
        statement=statement.index,
    )


RULE = Rule("statement-kind", _check)
