"""Objects and kinds that an entry of `deny` names.

A statement is refused if its kind, or an object in it, is named by an entry of `deny`. No entry of `allow` changes
that. An object counts whether the statement names it or reaches it through a view, a partition or `*`. Without the
server's catalog, a name without its schema stands for every object that it may mean.

Why: `deny` wins, so that an object can be excluded once, and no later entry of `allow` opens it again.

Instead: leave the object out. Name the columns of a table that are not denied.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import JudgedObject, Violation
from pgjit.policy.match import (
    Sort,
    collect_kinds,
    find_denial_of_column,
    find_denial_of_name,
    find_denial_of_operator,
    find_denial_of_relation,
    find_denial_of_setting,
    find_denials_of_kind,
    verbs_on_column,
    verbs_on_relation,
)
from pgjit.policy.passages import Passages
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.policy.selector import Selector
from pgjit.policy.session_settings import setting_name
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.statement import Name, Statement

__all__ = ["RULE"]


def _check(
    statement: Statement, terms: StatementTerms, referenced: ReferencedObjects | None, _passages: Passages | None
) -> Iterator[Violation]:
    if not terms.deny:
        return
    for kind, entry in find_denials_of_kind(terms, statement):
        found = JudgedObject("kind", (kind,))
        yield _violation(statement, entry, found, f"{kind.replace('-', ' ').upper()}", None)
    yield from _written(statement, terms)
    if referenced is not None:
        yield from _relations(statement, terms, referenced)
        yield from _names(statement, terms, referenced)


def _written(statement: Statement, terms: StatementTerms) -> Iterator[Violation]:
    """Names as they are written."""
    kinds = collect_kinds(statement)
    written: tuple[tuple[Sort, tuple[Name, ...]], ...] = (
        ("functions", statement.functions),
        ("types", statement.types),
    )
    for sort, names in written:
        for name in names:
            parts = (None, *name.parts)[-2:]
            if entry := find_denial_of_name(terms, sort, parts, kinds):
                found = JudgedObject("function" if sort == "functions" else "type", name.parts)
                yield _violation(statement, entry, found, f"{found.sort} `{name.text}`", name.position)
    for name in statement.operators:
        if entry := find_denial_of_operator(terms, name.parts, kinds):
            found = JudgedObject("operator", name.parts)
            yield _violation(statement, entry, found, f"operator `{name.text}`", name.position)
    for kind, settings in (("set", statement.settings), ("show", statement.shown_settings)):
        for setting in settings:
            if setting.name and (entry := find_denial_of_setting(terms, kind, setting_name(setting.name))):
                found = JudgedObject("setting", setting_name(setting.name), setting.position)
                yield _violation(statement, entry, found, f"setting `{setting.name}`", setting.position)


def _relations(statement: Statement, terms: StatementTerms, referenced: ReferencedObjects) -> Iterator[Violation]:
    for relation in referenced.relations:
        if entry := find_denial_of_relation(terms, verbs_on_relation(statement, relation), relation):
            name = f"{relation.schema}.{relation.name}" if relation.schema else relation.name
            found = JudgedObject(
                "relation", (relation.schema, relation.name), relation.position, relation.through, relation.action
            )
            yield _violation(statement, entry, found, f"relation `{name}`", relation.position, relation.through)
    for column in referenced.columns:
        if entry := find_denial_of_column(terms, verbs_on_column(statement, column, referenced), column):
            if column.whole_row:
                continue  # star-on-denied reports it
            own = f"column `{column.column}`" if column.column else "a column"
            parts = (column.schema, column.relation, column.column)
            found = JudgedObject("column", parts, column.position, column.through, column.action)
            yield _violation(
                statement, entry, found, f"{own} of `{column.relation}`", column.position, column.through
            )


def _names(statement: Statement, terms: StatementTerms, referenced: ReferencedObjects) -> Iterator[Violation]:
    """Names as the catalog resolves them, where they are resolved."""
    kinds = collect_kinds(statement)
    for function in referenced.functions:
        if function.schema is not None and (
            entry := find_denial_of_name(terms, "functions", (function.schema, function.name), kinds)
        ):
            found = JudgedObject("function", (function.schema, function.name), function.position, function.through)
            yield _violation(
                statement, entry, found, f"function `{function.text}`", function.position, function.through
            )
    for kind in referenced.types:
        if kind.schema is not None and (
            entry := find_denial_of_name(terms, "types", (kind.schema, kind.name), kinds)
        ):
            found = JudgedObject("type", (kind.schema, kind.name), kind.position)
            yield _violation(statement, entry, found, f"type `{kind.text}`", kind.position)
    for operator in referenced.operators:
        if operator.schema is not None and (
            entry := find_denial_of_operator(terms, (operator.schema, operator.name), kinds)
        ):
            found = JudgedObject("operator", (operator.schema, operator.name), operator.position)
            yield _violation(statement, entry, found, f"operator `{operator.text}`", operator.position)


def _violation(
    statement: Statement,
    entry: Selector,
    found: JudgedObject,
    what: str,
    position: int | None,
    through: tuple[str, ...] = (),
) -> Violation:
    reached = f", read through `{'`, `'.join(through)}`," if through else ""
    return Violation(
        rule="denied",
        message=f"{what}{reached} is denied by this policy",
        detail=f"The entry is at {entry.place}." if entry.place else None,
        hint="Leave it out: no entry of `allow` opens what a policy denies.",
        position=position or statement.position + 1,
        statement=statement.index,
        objects=(found,),
        entry=entry.place,
    )


RULE = Rule("denied", __doc__, _check)
