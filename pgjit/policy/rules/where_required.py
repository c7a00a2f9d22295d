"""UPDATE and DELETE without a condition.

UPDATE and DELETE need a WHERE that depends on a column of the written table. MERGE needs such a join condition, and
WHEN NOT MATCHED BY SOURCE a condition of its own. A condition that is true of every row does not count: `WHERE true`,
`1 = 1`, `id = id`, `id IS NULL OR id IS NOT NULL`, `name LIKE '%'`, `length(name) >= 0`, a condition on another table
alone. With the server's catalog, neither does `id IS NOT NULL` and the like on a column that is NOT NULL. If the
statement has other tables, or the column is in a subquery, it must be written with its table's name or alias.

Why: a forgotten WHERE changes or empties a whole table, and it is the most common mistake of generated statements.
The rule guards against accidents: a condition that holds for all rows can still be written on purpose.

Instead: say in WHERE which rows are meant. If every row is meant, ask for a policy that switches the rule off.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import JudgedObject, Violation
from pgjit.policy.passages import Passages
from pgjit.policy.policy import StatementTerms
from pgjit.policy.preset import Preset
from pgjit.policy.rule import Rule
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.shape.shape import WriteShape
from pgjit.sql.statement import Statement

__all__ = ["RULE"]

_ACTIONS = frozenset({"insert", "update", "delete"})


def _check(
    statement: Statement, _terms: StatementTerms, referenced: ReferencedObjects | None, _passages: Passages | None
) -> Iterator[Violation]:
    for write in statement.shape.writes:
        narrowed = write.narrowing.word(_filled(write, referenced))
        if narrowed == "yes":
            continue
        word = write.kind.upper()
        yield Violation(
            rule="where-required",
            message=f"{word} without a condition is not allowed under this policy"
            if narrowed == "no"
            else f"the condition of this {word} depends on no column of the table that it writes to",
            detail="It would write to every row of the table.",
            hint="Say in WHERE which rows are meant, by columns of the table, with its name or alias beside others.",
            position=write.position or statement.position + 1,
            statement=statement.index,
            objects=(JudgedObject("relation", write.relation, write.position, action="write"),),
        )


def _filled(write: WriteShape, referenced: ReferencedObjects | None) -> frozenset[str]:
    """The columns that are NOT NULL in every relation of that name."""
    found = [
        each.filled
        for each in (referenced.relations if referenced is not None else ())
        if each.via == "named" and each.name == write.relation[-1] and each.action in _ACTIONS
    ]
    return frozenset.intersection(*found) if found else frozenset()


RULE = Rule(
    "where-required", __doc__, _check,
    on=frozenset({Preset.READ_WRITE}), switch=frozenset({Preset.READ_WRITE}),
)  # fmt: skip
