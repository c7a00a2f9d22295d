"""Operators that are not built in.

A statement may use the operators of `pg_catalog`, and operators that its policy names under `allow`, written exactly
as there.

An extension's operator that has the name of a built-in one is treated as built in. Where the types of the operands
are not written, nobody can tell the two apart, and whoever installed the extension has reviewed it.

Why: an operator calls a function, and a user-defined operator can do anything that its owner may do.

Instead: use a built-in operator. Or ask for the operator to be named in the policy, as `operators: [<=>]`, or for its
extension, as `extensions: [vector]`.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import JudgedObject, Violation
from pgjit.policy.extensions import extension_of
from pgjit.policy.match import collect_kinds, find_permission_for_extension, find_permission_for_operator
from pgjit.policy.passages import Passages
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.statement import Statement

__all__ = ["BUILTIN", "RULE"]

# The operators of pg_catalog in PostgreSQL 16 and 18; a test compares them with the catalogs. `!=` is read as `<>`.
BUILTIN = frozenset(
    """
    = <> < <= > >= + - * / % ^ | & # ~ << >> || !! @ |/ ||/ ~~ !~~ ~~* !~~* ~* !~ !~* ^@ -> ->> #> #>> #- @> <@
    ? ?| ?& @? @@ @@@ && -|- &< &> &<| |&> <<| |>> <<= >>= <^ >^ ~= <-> ## @-@ ?# ?- ?|| ?-| *= *<> *< *<= *> *>=
    ~<~ ~<=~ ~>~ ~>=~
""".split()
)


def _check(
    statement: Statement, terms: StatementTerms, referenced: ReferencedObjects | None, passages: Passages | None
) -> Iterator[Violation]:
    kinds = collect_kinds(statement)
    refused: set[str] = set()
    extended = set(_of_extensions(referenced))
    missing = referenced.missing("unknown-operator") if referenced is not None else frozenset()
    for operator in statement.operators:
        if operator.parts in extended:
            continue  # the catalog knows its extension: see below
        if operator.parts in missing:
            continue  # unresolved-name reports it, as the server does
        if operator.builtin in BUILTIN:
            continue
        place = find_permission_for_operator(terms, (operator.text,), kinds)
        if place is None:
            refused.add(operator.text)
            yield _violation(statement, JudgedObject("operator", operator.parts), operator.text, operator.position)
        elif passages is not None:
            passages.add(statement, place, "operator", operator.parts)
    for each in referenced.operators if referenced is not None else ():
        if each.builtin or each.schema is None or each.name in refused or each.text in refused:
            continue
        if each.extension is not None and each.name in BUILTIN:
            continue  # probably the built-in one, to which an extension adds a meaning for its own types
        name = (each.schema, each.name)
        place = find_permission_for_operator(terms, (each.text, each.name), kinds)
        if place is None and referenced is not None:
            place = find_permission_for_extension(terms, each, referenced.extensions, kinds)
        if place is None:
            found = JudgedObject("operator", name, each.position)
            yield _violation(statement, found, each.text, each.position, each.extension)
        elif passages is not None:
            passages.add(statement, place, "operator", name, each.position)


def _of_extensions(referenced: ReferencedObjects | None) -> Iterator[tuple[str, ...]]:
    """Operators of extensions, with their schema and without, as statements may write them."""
    for each in referenced.operators if referenced is not None else ():
        if each.extension is not None and each.schema is not None:
            yield (each.name,)
            yield (each.schema, each.name)


def _violation(
    statement: Statement, found: JudgedObject, name: str, position: int | None, extension: str | None = None
) -> Violation:
    known = extension_of(extension)
    opened = f"ask for `extensions: [{extension}]`" if known and not known.closed else "ask for it to be named"
    return Violation(
        rule="foreign-operator",
        message=f"operator `{name}` is not a built-in operator",
        detail="A user-defined operator runs a function, which can do anything that its owner may.",
        hint=f"Use a built-in operator, or {opened} in the policy.",
        position=position or statement.position + 1,
        statement=statement.index,
        objects=(found,),
    )


RULE = Rule("foreign-operator", __doc__, _check)
