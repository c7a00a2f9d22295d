"""`*` on relations with denied columns.

`SELECT *`, `t.*`, a row as a value (`SELECT t FROM t`, `row_to_json(t)`) and COPY of a whole table are refused where
an entry of `deny` names a column of that relation, or where `allow` names only some of its columns.

Why: `*` reads every column, those of tomorrow included.

Instead: name the columns that are needed.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import Violation
from pgjit.policy.match import column_grounds, denial_of_column, words_of_column
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.statement import Statement

__all__ = ["RULE"]


def _check(statement: Statement, terms: StatementTerms, referenced: ReferencedObjects | None) -> Iterator[Violation]:
    told: set[tuple[str | None, str, int | None]] = set()
    for column in referenced.columns if referenced is not None else ():
        key = (column.schema, column.relation, column.position)
        if not column.whole_row or key in told:
            continue
        words = words_of_column(statement, column, referenced)
        denied = denial_of_column(terms, words, column) is not None
        if not denied and (not terms.names_columns or column_grounds(terms, words, column) is not None):
            continue
        told.add(key)
        which = f"column `{column.column}`" if column.column else "some of its columns"
        yield Violation(
            rule="star-on-denied",
            message=f"all columns of `{column.relation}` may not be read: {which} {'is' if column.column else 'are'}"
            f" {'denied' if denied else 'not allowed'}",
            detail="`*`, and a row as a value, read every column.",
            hint="Name the columns that are needed.",
            position=column.position or statement.position + 1,
            statement=statement.index,
        )


RULE = Rule("star-on-denied", __doc__, _check)
