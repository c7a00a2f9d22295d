"""Types that are not built in: reading a value of one can run code (input functions, casts, domain checks)."""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import Violation
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.statement import Statement

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


def _check(statement: Statement, terms: StatementTerms) -> Iterator[Violation]:
    for kind in statement.types:
        builtin = kind.builtin
        name = builtin.removeprefix("_") if builtin else None  # `_int4` is the array type of `int4`
        if name not in BUILTIN and kind.text not in terms.types:
            yield Violation(
                rule="foreign-type",
                message=f"type `{kind.text}` is not a built-in type",
                detail="Converting to a user-defined type can run code of its own.",
                hint="Cast to a built-in type, such as text, or ask for this one to be named in the policy.",
                position=kind.position,
                statement=statement.index,
            )


RULE = Rule("foreign-type", _check)
