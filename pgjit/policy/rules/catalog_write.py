"""Writing to system catalogs.

INSERT, UPDATE, DELETE and MERGE may not write to a relation of `pg_catalog`, `information_schema` or another system
schema, nor to a view that passes writes on to one. A name without a schema that begins with `pg_` is taken for a
system relation.

Why: `UPDATE pg_settings` changes a setting as SET does, but the rule on settings does not see it. Writing to a real
catalog can break the database.

Instead: write to tables of your own schemas. To make a view of a catalog, end its query with `OFFSET 0`: such a view
can only be read. Change settings with SET, as far as `session-setting` allows it.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import JudgedObject, Violation
from pgjit.policy.passages import Passages
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.statement import Name, Statement

__all__ = ["RULE"]


def _check(
    statement: Statement, _terms: StatementTerms, referenced: ReferencedObjects | None, _passages: Passages | None
) -> Iterator[Violation]:
    for target in statement.targets:
        if _is_catalog(target):
            yield _violation(
                statement,
                f"catalog `{target.text}`",
                target.position,
                JudgedObject("relation", target.parts, action="write"),
            )
    for each in referenced.relations if referenced is not None else ():
        if each.builtin and each.through and each.action != "read":
            found = JudgedObject("relation", (each.schema, each.name), each.position, each.through, "write")
            yield _violation(statement, f"catalog `{each.name}`, behind `{each.through[0]}`,", each.position, found)


def _violation(statement: Statement, what: str, position: int | None, found: JudgedObject) -> Violation:
    return Violation(
        rule="catalog-write",
        message=f"{what} may not be written to",
        detail="Views of the system catalog change settings when they are written to.",
        hint="End the view's query with OFFSET 0: then it can only be read."
        if "create-view" in (statement.kind, *statement.inner)
        else "Write to tables of your own schemas only; settings are changed with SET.",
        position=position or statement.position + 1,
        statement=statement.index,
        objects=(found,),
    )


def _is_catalog(relation: Name) -> bool:
    """A name `pg_...` without a schema is taken for a system relation: PostgreSQL searches pg_catalog first."""
    *schemas, name = relation.parts or ("",)
    if not schemas:
        return name.startswith("pg_") or not name
    return schemas[-1] == "information_schema" or schemas[-1].startswith("pg_")


RULE = Rule("catalog-write", __doc__, _check)
