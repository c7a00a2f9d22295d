"""`*` on relations with denied columns.

`SELECT *`, `t.*`, a row as a value (`SELECT t FROM t`, `row_to_json(t)`) and COPY of a whole table are refused where
an entry of `deny` names a column of that relation, or where `allow` names only some of its columns.

Why: `*` reads every column, including those that are added later.

Instead: name the columns that are needed.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import JudgedObject, Violation
from pgjit.policy.match import find_denial_of_column, find_permission_for_column, verbs_on_column
from pgjit.policy.passages import Passages
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.statement import Statement

__all__ = ["RULE"]


def _check(
    statement: Statement, terms: StatementTerms, referenced: ReferencedObjects | None, _passages: Passages | None
) -> Iterator[Violation]:
    reported: set[tuple[str | None, str, int | None]] = set()
    for column in referenced.columns if referenced is not None else ():
        key = (column.schema, column.relation, column.position)
        if not column.whole_row or key in reported:
            continue
        words = verbs_on_column(statement, column, referenced)
        denial = find_denial_of_column(terms, words, column)
        if denial is None and (
            not terms.names_columns or find_permission_for_column(terms, words, column) is not None
        ):
            continue
        reported.add(key)
        which = f"column `{column.column}`" if column.column else "some of its columns"
        yield Violation(
            rule="star-on-denied",
            message=f"all columns of `{column.relation}` may not be read: {which} {'is' if column.column else 'are'}"
            f" {'not allowed' if denial is None else 'denied'}",
            detail="`*`, and a row as a value, read every column.",
            hint="Name the columns that are needed.",
            position=column.position or statement.position + 1,
            statement=statement.index,
            objects=(
                JudgedObject("column", (column.schema, column.relation, None), column.position, action=column.action),
            ),
            entry=None if denial is None else denial.place,
        )


RULE = Rule("star-on-denied", __doc__, _check)
