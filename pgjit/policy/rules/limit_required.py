"""SELECT without LIMIT.

A query that gives rows of a relation needs a constant LIMIT (or FETCH FIRST) of at most `at_most`. LIMIT ALL, LIMIT
NULL, a LIMIT that is a parameter or an expression, and WITH TIES are none. A LIMIT counts for all that is below it;
each arm of a UNION may have its own. A query that gives one row by an aggregate without GROUP BY needs none, and
relations that only conditions read from are not meant.

An aggregate that collects makes one value of many rows: `array_agg`, `string_agg`, `json_agg` and its kind, `xmlagg`,
`range_agg`, any that is not built in, and `ARRAY(SELECT ...)`. A query whose values it stands in needs a LIMIT below
it, in the query that it reads from: its own LIMIT, and those of the queries around it, are none. Where one stands
anywhere in a statement, the queries of a WITH need their own LIMIT. Subqueries that are values count like FROM.

Of COPY, cursors, prepared statements and EXPLAIN ANALYZE
the query counts; COPY of a table has no LIMIT.

It holds for all relations, or for those under `relations`; a view is a relation of its own here, since it may count
and group.

Why: a result of millions of rows helps no reader and costs everybody: the server, the network, and the model that
has to make sense of it.

Instead: add LIMIT, or ask the database for the number itself: count(*), GROUP BY. Later rows come by a condition on
the key of the last one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from pgjit.policy.access import Access
from pgjit.policy.decision import Violation
from pgjit.policy.options import RuleOptions
from pgjit.policy.pattern import Patterns, names
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.policy.rules.function_call import BUILTIN
from pgjit.sql.shape import Source
from pgjit.sql.statement import Statement
from pgjit.sql.touched import Touched

__all__ = ["RULE", "Options"]

_BOTH = frozenset({Access.READ_ONLY, Access.READ_WRITE})


class Options(RuleOptions):
    relations: Annotated[
        tuple[str, ...],
        BeforeValidator(names(1, 2)),
        WithJsonSchema({"type": "array", "items": {"type": "string"}, "minItems": 1}),
    ] = Field(("*",), description="The relations whose rows need a LIMIT.")
    at_most: int = Field(1000, ge=1, strict=True, description="The largest LIMIT.")


def _check(statement: Statement, terms: StatementTerms, touched: Touched | None) -> Iterator[Violation]:
    options = terms.options("limit-required", Options)
    meant = Patterns.of(options.relations, 1, 2)
    strict = _own_aggregates(statement, touched)
    for source in statement.shape.sources:
        most = source.strict if strict else source.most
        if (most is None or most > options.at_most) and _meant(source, meant, touched):
            name = ".".join(source.relation)
            yield Violation(
                rule="limit-required",
                message=f"reading `{name}` needs a LIMIT"
                if most is None
                else f"LIMIT {most} is more than this policy allows",
                detail=f"At most {options.at_most} rows of it may be read at once.",
                hint=f"Add a constant LIMIT of at most {options.at_most}, below what collects rows into one value"
                " (array_agg), or count and group in the database.",
                position=source.position or statement.position + 1,
                statement=statement.index,
            )


def _own_aggregates(statement: Statement, touched: Touched | None) -> bool:
    """Whether it may call an aggregate that is not built in: what that one collects is not known."""
    if touched is not None and all(each.schema is not None for each in touched.functions):
        return any(not each.builtin and each.kind != "f" for each in touched.functions)
    return any(each.builtin not in BUILTIN for each in statement.functions)


def _meant(source: Source, meant: Patterns, touched: Touched | None) -> bool:
    """By the name as it is resolved; where it is not, by any schema that it may be in."""
    name = source.relation[-2:]
    if name[0] in ("pg_catalog", "information_schema") and len(name) > 1:
        return False
    known = {each.schema for each in touched.relations if each.name == name[-1]} if touched is not None else set()
    if len(name) == 1 and known and known <= {"pg_catalog", "information_schema"}:
        return False
    schemas = [name[0]] if len(name) > 1 else [*known] or [None]
    return any(meant.match((schema, name[-1]), lenient=True) for schema in schemas)


RULE = Rule("limit-required", __doc__, _check, options=Options, on=frozenset(), switch=_BOTH)
