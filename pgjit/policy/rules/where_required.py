"""UPDATE and DELETE without a condition.

UPDATE and DELETE need a WHERE that some column of the written table decides, and MERGE a condition of its join that
does; WHEN NOT MATCHED BY SOURCE needs a condition of its own. What is true of every row is none: `WHERE true`,
`1 = 1`, `id = id`, `id IS NULL OR id IS NOT NULL`, `name LIKE '%'`, `length(name) >= 0`, a condition on another table
alone; and, as the catalog tells it, `id IS NOT NULL` and the like on a column that is NOT NULL. Beside
other tables, and inside a subquery, a column has to be written with its table's name or alias to be known.

Why: a forgotten WHERE changes or empties a whole table, and it is the mistake that generated statements make most.
The rule is a guard against accidents: who means to write to every row can write a condition that holds for all.

Instead: say which rows are meant. Where it is every row, ask for a policy that switches the rule off.
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
            else f"the condition of this {word} is decided by no column of the table that it writes to",
            detail="It would write to every row of the table.",
            hint="Say in WHERE which rows are meant, by columns of the table, with its name or alias beside others.",
            position=write.position or statement.position + 1,
            statement=statement.index,
            objects=(JudgedObject("relation", write.relation, write.position, action="write"),),
        )


def _filled(write: WriteShape, referenced: ReferencedObjects | None) -> frozenset[str]:
    """The columns that are never NULL; of several relations of that name, in all."""
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
