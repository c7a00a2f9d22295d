"""Functions called as if they were columns.

PostgreSQL lets a function of one argument be called like a column: `(value).name`. The syntax does not show whether
a column or a function is meant. A name may therefore be taken out of a value only if it is harmless as both:

- a built-in function that may be called
- a column of PostgreSQL's own catalogs and functions
- a function that the policy names
- with a catalog: a column that the catalog has there, or a name that no function of one argument has

In `alias.name` only the few built-in functions are refused that take any row.

Why: `SELECT ('DELETE ...'::text).ts_stat` runs a statement, and `(pid).pg_terminate_backend` ends a session. Neither
looks like a function call.

Instead: write `alias.column` for the column of a table, and call functions by their name. Without a catalog
`alias.name` may still call a function of your own that takes the row: do not give the login role such functions.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

from pgjit.policy.builtin_functions import BUILTIN_FUNCTIONS
from pgjit.policy.decision import JudgedObject, Violation
from pgjit.policy.match import collect_kinds, find_permission_for_name
from pgjit.policy.passages import Passages
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.statement import Statement

__all__ = ["COLUMNS", "ROW_FUNCTIONS", "RULE"]

# The head of the file explains the list; a test compares it with the catalogs of real servers.
COLUMNS = frozenset(
    line
    for line in (files("pgjit.policy") / "builtin_columns.txt").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
)
ROW_FUNCTIONS = frozenset(
    """
    any_out anycompatible_out anycompatiblenonarray_out anyelement_out anynonarray_out pg_restore_attribute_stats
    pg_restore_relation_stats record_out
""".split()
)
"""Built-in functions that take any row and may not be called."""


def _check(
    statement: Statement, terms: StatementTerms, referenced: ReferencedObjects | None, passages: Passages | None
) -> Iterator[Violation]:
    # With a catalog, a function that is called in this way is among the referenced ones: function-call judges it.
    known: set[str | None] = set()
    if referenced is not None:
        known = {each.column for each in referenced.columns if each.schema is not None} | referenced.fields
    for name in statement.attributes:
        if name in BUILTIN_FUNCTIONS or name in COLUMNS or name in known:
            continue
        place = find_permission_for_name(terms, "functions", ("pg_catalog", name), collect_kinds(statement))
        if place is None:
            yield _violation(
                statement,
                name,
                f"`{name}` may not be taken out of a value under this policy",
                f"(value).{name} calls the function {name}(value) where the value has no such column.",
                "Name the column of a table as alias.column, without parentheses.",
            )
        elif passages is not None:
            passages.add(statement, place, "function", (name,))
    for name in sorted(statement.columns & ROW_FUNCTIONS):
        yield _violation(
            statement,
            name,
            f"function `{name}` is not allowed under this policy",
            f"`alias.{name}` may be a column, or a call of that function with the whole row.",
            "Leave it out.",
        )


def _violation(statement: Statement, name: str, message: str, detail: str, hint: str) -> Violation:
    return Violation(
        rule="attribute-call",
        message=message,
        detail=detail,
        hint=hint,
        position=statement.position + 1,
        statement=statement.index,
        objects=(JudgedObject("function", (name,)),),
    )


RULE = Rule("attribute-call", __doc__, _check)
