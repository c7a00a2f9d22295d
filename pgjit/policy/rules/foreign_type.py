"""Types that are not built in.

A statement may cast to the types of `pg_catalog` that clients use, to enums of the database and arrays of them, as
far as the server's catalog shows them, and to types that its policy names under `allow`.

Why: reading or converting a value of a user-defined type can run code: input functions, casts, the checks of domains.
PostgreSQL's own code reads the value of an enum.

Instead: cast to a built-in type, such as text. Or ask for the type to be named in the policy, as
`types: [schema.name]`, or for its extension, as `extensions: [citext]`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pgjit.policy.decision import JudgedObject, Violation
from pgjit.policy.extensions import extension_of
from pgjit.policy.match import collect_kinds, find_permission_for_extension, find_permission_for_name
from pgjit.policy.passages import Passages
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.referenced import ReferencedObjects, ReferencedType
from pgjit.sql.statement import Name, Statement

__all__ = ["BUILTIN", "RULE"]

# Types of pg_catalog as its rows name them: the grammar turns `int` and `timestamp with time zone` into these, and
# `"int"` in quotes is somebody's own type. Types that only servers use among themselves are left out.
BUILTIN = frozenset(
    """
    bool bit varbit bytea char bpchar varchar text name date time timetz timestamp timestamptz interval
    int2 int4 int8 oid xid xid8 cid tid numeric float4 float8 money uuid json jsonb jsonpath xml inet cidr macaddr
    macaddr8 point line lseg box path polygon circle tsvector tsquery int4range int8range numrange tsrange tstzrange
    daterange int4multirange int8multirange nummultirange tsmultirange tstzmultirange datemultirange regclass regproc
    regprocedure regoper regoperator regtype regrole regnamespace regconfig regdictionary regcollation pg_lsn
    pg_snapshot txid_snapshot refcursor record void unknown int2vector oidvector aclitem
""".split()
)


_UNKNOWN = {"unknown-type": "42704", "unknown-schema": "3F000"}
"""The server's SQLSTATEs for a type that it does not have."""


def _check(
    statement: Statement, terms: StatementTerms, referenced: ReferencedObjects | None, passages: Passages | None
) -> Iterator[Violation]:
    kinds = collect_kinds(statement)
    known = tuple(each for each in referenced.types if each.schema is not None) if referenced is not None else ()
    resolved = {each.name for each in known}
    enums = {(each.schema, each.name) for each in known if _is_enum(each)}
    extended = {(each.schema, each.name) for each in known if each.extension is not None}
    missing = (
        {each.name: each for each in referenced.faults if each.kind in _UNKNOWN} if referenced is not None else {}
    )
    for kind in statement.types:
        if kind.parts in extended:
            continue  # the catalog knows its extension: see below
        if len(kind.parts) == 1 and kind.parts in missing:
            continue  # unresolved-name reports it, as the server does
        if len(kind.parts) == 1 and kind.parts[0] in resolved and not _builtin(kind):
            continue  # the catalog knows which type it is: see below
        if kind.parts in enums:
            continue
        if _builtin(kind):
            continue
        name = ("pg_catalog", *kind.parts)[-2:]
        place = None if len(kind.parts) > 2 else find_permission_for_name(terms, "types", name, kinds)
        if place is None:
            violation = _violation(statement, JudgedObject("type", kind.parts), kind.text, kind.position)
            if fault := missing.get(kind.parts):
                violation = replace(violation, message=fault.detail, sqlstate=_UNKNOWN[fault.kind])
            yield violation
        elif passages is not None:
            passages.add(statement, place, "type", kind.parts)
    for each in known:
        if each.builtin or _is_enum(each):
            continue
        name = (each.schema or "", each.name)
        place = find_permission_for_name(terms, "types", name, kinds)
        if place is None and referenced is not None:
            place = find_permission_for_extension(terms, each, referenced.extensions, kinds)
        if place is None:
            found = JudgedObject("type", name, each.position)
            yield _violation(statement, found, each.text, each.position, each.extension)
        elif passages is not None:
            passages.add(statement, place, "type", name, each.position)


def _is_enum(kind: ReferencedType) -> bool:
    """A name that begins with `_` may be the array type of another type in another schema."""
    return kind.kind == "e" and not kind.name.startswith("_")


def _builtin(kind: Name) -> bool:
    name = kind.builtin
    return name is not None and name.removeprefix("_") in BUILTIN  # `_int4` is the array type of `int4`


def _violation(
    statement: Statement, found: JudgedObject, name: str, position: int | None, extension: str | None = None
) -> Violation:
    known = extension_of(extension)
    opened = f"`extensions: [{extension}]`" if known and not known.closed else "this one to be named"
    return Violation(
        rule="foreign-type",
        message=f"type `{name}` is not a built-in type",
        detail="Converting to a user-defined type can run code of its own.",
        hint=f"Cast to a built-in type, such as text, or ask for {opened} in the policy.",
        position=position or statement.position + 1,
        statement=statement.index,
        objects=(found,),
    )


RULE = Rule("foreign-type", __doc__, _check)
