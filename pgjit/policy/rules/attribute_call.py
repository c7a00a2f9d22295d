"""Functions called as if they were columns: `(value).name` calls `name(value)` where the value has no such column.

The syntax tree is the same for both, so a name is taken out of a value only if it is known to be harmless either
way: a built-in function that may be called, or a column of PostgreSQL's own. Of `alias.name` this refuses the few
built-in functions that take any row; functions of one's own on rows are the login role's to be kept from.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

from pgjit.policy.decision import Violation
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.policy.rules.function_call import BUILTIN
from pgjit.sql.statement import Statement

__all__ = ["COLUMNS", "ROW_FUNCTIONS", "RULE"]

# The file's head says how the list is made; a test compares it with the catalogs of real servers.
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


def _check(statement: Statement, terms: StatementTerms) -> Iterator[Violation]:
    for name in statement.attributes:
        if name not in BUILTIN | COLUMNS and f"pg_catalog.{name}" not in terms.functions:
            yield _violation(
                statement,
                f"`{name}` may not be taken out of a value under this policy",
                f"(value).{name} calls the function {name}(value) where the value has no such column.",
                "Name the column of a table as alias.column, without parentheses.",
            )
    for name in sorted(statement.columns & ROW_FUNCTIONS):
        yield _violation(
            statement,
            f"function `{name}` is not allowed under this policy",
            f"A column that is called {name} cannot be told from a call of that function with the whole row.",
            "Leave it out.",
        )


def _violation(statement: Statement, message: str, detail: str, hint: str) -> Violation:
    return Violation(
        rule="attribute-call",
        message=message,
        detail=detail,
        hint=hint,
        position=statement.position + 1,
        statement=statement.index,
    )


RULE = Rule("attribute-call", _check)
