"""Names that cannot be resolved.

Where names are resolved, the server's catalog must have each of them. A statement is refused if a relation, a column,
a function, an operator or a type in it is not in the catalog, or if its names could mean too many objects. Names are
resolved in the catalog of the connection, with its pinned `search_path`.

Without a catalog it is not known what a view reads. A policy that denies relations or columns then refuses every
statement that reads or writes a relation. Where a policy names relations, a relation may not be created or dropped if
it hides another one of a later schema of the path.

Why: a rule on `public.customers` holds only if it is known what `customers` means. If the statement and the catalog
disagree, one of them is not what it seems.

Instead: check the spelling; write names with their schema, and columns with their table's name or alias. The hint
shows similar names, except those that the policy denies, and how PostgreSQL spells what other systems call otherwise
(`coalesce` for `ifnull`). Before a name is refused, pgjit reads the server's catalog again: an object that was
created a moment ago is known.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import STATEMENT, JudgedObject, ObjectSort, Violation
from pgjit.policy.dialects import dialect_hint
from pgjit.policy.passages import Passages
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.policy.suggestions import suggested
from pgjit.sql.referenced import ReferencedObjects, ResolutionFault
from pgjit.sql.statement import Statement

__all__ = ["RULE"]

_SQLSTATES = {  # as the server reports an unknown name: clients recognize a missing object by it
    "unknown-relation": "42P01",
    "unknown-column": "42703",
    "unknown-function": "42883",
    "unknown-operator": "42883",
    "unknown-type": "42704",
    "database": "0A000",
    "unknown-schema": "3F000",
}
_SORTS: dict[str, ObjectSort] = {
    "unknown-relation": "relation",
    "unknown-column": "column",
    "unknown-function": "function",
    "unknown-operator": "operator",
    "unknown-type": "type",
}
_HINTS = {
    "database": "Leave the database out: dbname is the name of the connection, and need not be that of its database.",
    "unknown-relation": "information_schema.tables lists the relations; write names with their schema.",
    "unknown-column": "information_schema.columns lists the columns of a table.",
    "unknown-function": "Check the spelling and the number of arguments, and write its schema if it is not built in.",
    "unknown-operator": "Check the spelling, and write OPERATOR(schema.name) if it is not built in.",
    "unknown-schema": "information_schema.schemata lists the schemas.",
    "unknown-type": "Check the spelling, and write its schema if it is not built in.",
}
_FROM = "Name the table in FROM, or use the alias that it has there."
_HINT = "Check the spelling, and write names with their schema and columns with their table."


def _check(
    statement: Statement, terms: StatementTerms, referenced: ReferencedObjects | None, _passages: Passages | None
) -> Iterator[Violation]:
    if referenced is None:
        return
    for fault in referenced.faults:
        if fault.kind == "hides" and not terms.needs_names:
            continue  # both are allowed
        yield Violation(
            rule="unresolved-name",
            message=fault.detail,
            detail="The meaning of a name has to be known to judge the statement.",
            hint=" ".join(_hints(statement, terms, referenced, fault))
            or (_FROM if fault.not_in_from else _HINTS.get(fault.kind, _HINT)),
            position=fault.position or statement.position + 1,
            sqlstate="42P01" if fault.not_in_from else _SQLSTATES.get(fault.kind, "42501"),
            statement=statement.index,
            objects=_objects(fault),
        )
    unknown = ("unknown-relation", "database")
    if not terms.denies_relations or any(fault.kind in unknown for fault in referenced.faults):
        return
    for relation in referenced.relations:
        if relation.kind is None and not relation.builtin and relation.action != "define":
            yield Violation(
                rule="unresolved-name",
                message=f"without the server's catalog it is not known what `{relation.name}` is",
                detail="The policy denies relations or columns, and a view could read them.",
                hint="Try again when the catalog has been read; `pgjit policy` takes it as a file.",
                position=relation.position or statement.position + 1,
                statement=statement.index,
                objects=(JudgedObject("relation", (relation.schema, relation.name), relation.position),),
            )
            return


def _objects(fault: ResolutionFault) -> tuple[JudgedObject, ...]:
    """The unknown object, or the whole statement if the fault is about no single name."""
    sort = _SORTS.get(fault.kind)
    if sort is None or not fault.name:
        return STATEMENT
    return (JudgedObject(sort, fault.name),)


def _hints(
    statement: Statement, terms: StatementTerms, referenced: ReferencedObjects, fault: ResolutionFault
) -> Iterator[str]:
    if fault.alias is not None:
        yield f"Perhaps you meant the alias `{fault.alias}`."
    if meant := suggested(statement, terms, referenced, fault):
        yield f"Perhaps you meant {' or '.join(f'`{each}`' for each in meant)}."
    if fault.kind in _SQLSTATES and (how := dialect_hint((fault,)) or dialect_hint(referenced.faults)):
        yield how


RULE = Rule("unresolved-name", __doc__, _check)
