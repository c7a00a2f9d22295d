"""Relations and columns that `allow` does not name.

An entry of `allow` that names relations, schemas or columns replaces the preset for the kinds that it covers. What
such statements read or write must then be named. An entry for one kind of writing covers all kinds of writing.
Reading the system catalogs stays allowed.

A view is allowed by its own name. Whether it may read the relations behind it is decided by the server, and by
`deny`. A view that PostgreSQL would pass writes through may be created only if the relations behind it may be written
to.

Why: every object in a statement must be allowed, and a table that is created tomorrow is not allowed yet.

Instead: use the relations that the policy names, or ask for the relation to be named. To create a view that is only
read, end its query with `OFFSET 0`: nothing can be written through it.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import JudgedObject, Violation
from pgjit.policy.kinds import WRITES
from pgjit.policy.match import (
    find_permission_for_column,
    find_permission_for_relation,
    verbs_on_column,
    verbs_on_relation,
)
from pgjit.policy.passages import Passages
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.statement import Statement

__all__ = ["RULE"]


_ONLY_READ = "End the view's query with OFFSET 0: then it can only be read."


def _check(
    statement: Statement, terms: StatementTerms, referenced: ReferencedObjects | None, passages: Passages | None
) -> Iterator[Violation]:
    if referenced is None or not terms.names_relations:
        return
    refused: set[tuple[str | None, str]] = set()
    messages: set[str] = set()
    for relation in referenced.relations:
        hint = None
        place = find_permission_for_relation(terms, verbs_on_relation(statement, relation), relation)
        names = (relation.schema, relation.name)
        if place is None:
            refused.add((relation.schema, relation.name))
            verb = statement.kind.replace("-", " ") if relation.action == "define" else relation.action
            done = "read" if verb == "read" else f"used for {verb.upper()}"
            name = f"{relation.schema}.{relation.name}" if relation.schema else relation.name
            message = f"relation `{name}` may not be {done} under this policy"
            if relation.action in WRITES and "create-view" in (statement.kind, *statement.inner):
                message, hint = f"relation `{name}` may not be written to, and this view would allow it", _ONLY_READ
                if message in messages:
                    continue
                messages.add(message)
            found = JudgedObject(
                "relation",
                names,
                None if hint else relation.position,
                None if hint else relation.through,
                relation.action,
            )
            yield _violation(statement, found, message, relation.position, hint)
        elif passages is not None:
            passages.add(statement, place, "relation", names, relation.position, relation.through, relation.action)
    for column in referenced.columns:
        if (column.schema, column.relation) in refused or column.whole_row:  # star-on-denied reports it
            continue
        place = find_permission_for_column(terms, verbs_on_column(statement, column, referenced), column)
        parts = (column.schema, column.relation, column.column)
        if place is None:
            own = f"column `{column.column}`" if column.column else "some column"
            message = f"{own} of `{column.relation}` may not be used under this policy"
            found = JudgedObject("column", parts, column.position, column.through, column.action)
            yield _violation(statement, found, message, column.position)
        elif passages is not None:
            passages.add(statement, place, "column", parts, column.position, column.through, column.action)


def _violation(
    statement: Statement, found: JudgedObject, message: str, position: int | None, hint: str | None = None
) -> Violation:
    return Violation(
        rule="unlisted-relation",
        message=message,
        detail="The policy names the objects that may be used, and this is not one of them.",
        hint=hint or "Use an object that the policy names, with its schema, or ask for this one to be named.",
        position=position or statement.position + 1,
        statement=statement.index,
        objects=(found,),
    )


RULE = Rule("unlisted-relation", __doc__, _check)
