"""SELECT without LIMIT.

The rule bounds the rows of one relation that a statement returns, in its result and inside its values. All parts of
the statement together may return at most `at_most` rows of one relation.

A query that returns rows of a relation needs a constant LIMIT (or FETCH FIRST) of at most `at_most`. LIMIT ALL, LIMIT
NULL, a LIMIT that is a parameter or an expression, and WITH TIES do not count. A LIMIT holds for everything below it.
Each part, such as an arm of a UNION or a WITH query, may have its own LIMIT. The LIMITs for one relation are added
up. A query with an aggregate and without GROUP BY returns one row and needs no LIMIT. With GROUP BY it returns a row
for each group, and needs one. Relations that are read only in conditions do not count.

A subquery that runs for each row of another query (a subquery among its values, or LATERAL) applies its LIMIT for
each row. The query around it needs a LIMIT as well.

An aggregate that collects makes one value of many rows: `array_agg`, `string_agg`, `json_agg` and the like, `xmlagg`,
`range_agg`, `percentile_cont` and `percentile_disc` of an array that is not a short constant, any aggregate that is
not built in, and `ARRAY(SELECT ...)`. Such an aggregate needs a LIMIT below it, in the query that it reads from. The
LIMIT of its own query, or of the queries around it, does not count. If a statement has such an aggregate anywhere,
each WITH query needs its own LIMIT. A subquery that is a value counts like one in FROM.

A recursive query can make a value longer with each step (`path || name`). Such a value holds a row of each step, so
the steps need a bound: a counter that starts at a constant, `depth + 1`, and a condition such as `depth < 100` in the
recursive part.

For COPY, cursors, prepared statements and EXPLAIN ANALYZE the rule checks their query. COPY of a table has no LIMIT.

The rule covers all relations, or those under `relations`. It treats a view as a relation of its own, since the view
may count and group.

Why: a result of millions of rows helps no reader. It burdens the server, the network, and the model that reads it.

Instead: add LIMIT, after GROUP BY as well, or ask the database for the number itself: count(*), sum, avg. To read
later rows, send another statement with a condition on the key of the last row.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from pgjit.policy.builtin_functions import BUILTIN_FUNCTIONS
from pgjit.policy.decision import JudgedObject, Violation
from pgjit.policy.options import RuleOptions
from pgjit.policy.passages import Passages
from pgjit.policy.pattern import Patterns, names
from pgjit.policy.policy import StatementTerms
from pgjit.policy.preset import Preset
from pgjit.policy.rule import Rule
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.shape.shape import RowSource
from pgjit.sql.statement import Statement

__all__ = ["RULE", "LimitRequiredOptions"]

Limits = tuple[tuple[int, int], ...]  # the number of each LIMIT, and its rows

_BOTH = frozenset({Preset.READ_ONLY, Preset.READ_WRITE})


class LimitRequiredOptions(RuleOptions):
    relations: Annotated[
        tuple[str, ...],
        BeforeValidator(names(1, 2)),
        WithJsonSchema({"type": "array", "items": {"type": "string"}, "minItems": 1}),
    ] = Field(("*",), description="The relations whose rows need a LIMIT.")
    at_most: int = Field(1000, ge=1, strict=True, description="The largest LIMIT.")


def _check(
    statement: Statement, terms: StatementTerms, referenced: ReferencedObjects | None, _passages: Passages | None
) -> Iterator[Violation]:
    options = terms.options("limit-required", LimitRequiredOptions)
    meant = Patterns.of(options.relations, 1, 2)
    strict = _own_aggregates(statement, referenced)
    parts: dict[str, list[tuple[RowSource, Limits]]] = {}
    for source in statement.shape.sources:
        if not _meant(source, meant, referenced):
            continue
        limits = source.strict if strict else source.limits
        fitting = [limit for limit in limits if limit[1] <= options.at_most]
        if fitting:
            parts.setdefault(source.relation[-1], []).append((source, tuple(fitting)))
            continue
        message = f"reading `{'.'.join(source.relation)}` needs a LIMIT"
        if limits:
            message = (
                f"{limits[-1][1]} rows of `{'.'.join(source.relation)}` are more than this policy allows at once"
            )
        yield _violation(statement, source, message, options.at_most)
    for name, bounded in parts.items():
        total = min(_total(bounded, 0), _total(bounded, -1))
        if total > options.at_most:
            parts_give = f"the parts of the statement give up to {total} rows of `{name}`"
            yield _violation(
                statement, bounded[-1][0], f"{parts_give}, more than this policy allows", options.at_most
            )


def _total(bounded: list[tuple[RowSource, Limits]], which: int) -> int:
    """Rows in all: by the outermost LIMIT of each part, which parts may share, or by the innermost."""
    return sum(dict(limits[which] for _, limits in bounded).values())


def _violation(statement: Statement, source: RowSource, message: str, most: int) -> Violation:
    return Violation(
        rule="limit-required",
        message=message,
        detail=f"At most {most} rows of one relation may be returned, by all parts of a statement together and"
        " in one value. GROUP BY returns a row for each group, and needs a LIMIT as well.",
        hint=f"Add a constant LIMIT of at most {most} to the statement, and below aggregates that collect rows"
        " (array_agg); or ask for one row: count(*), sum, avg, without GROUP BY.",
        position=source.position or statement.position + 1,
        statement=statement.index,
        objects=(JudgedObject("relation", source.relation, source.position, action="read"),),
    )


def _own_aggregates(statement: Statement, referenced: ReferencedObjects | None) -> bool:
    """Whether it may call an aggregate that is not built in. It may collect rows."""
    if referenced is not None and all(each.schema is not None for each in referenced.functions):
        return any(not each.builtin and each.kind != "f" for each in referenced.functions)
    return any(each.builtin not in BUILTIN_FUNCTIONS for each in statement.functions)


def _meant(source: RowSource, meant: Patterns, referenced: ReferencedObjects | None) -> bool:
    """Whether the rule covers the relation, by its resolved name; if it has none, in any schema that it may be in."""
    name = source.relation[-2:]
    if name[0] in ("pg_catalog", "information_schema") and len(name) > 1:
        return False
    known = (
        {each.schema for each in referenced.relations if each.name == name[-1]} if referenced is not None else set()
    )
    if len(name) == 1 and known and known <= {"pg_catalog", "information_schema"}:
        return False
    schemas = [name[0]] if len(name) > 1 else [*known] or [None]
    return any(meant.match((schema, name[-1]), lenient=True) for schema in schemas)


RULE = Rule("limit-required", __doc__, _check, options=LimitRequiredOptions, on=frozenset(), switch=_BOTH)
