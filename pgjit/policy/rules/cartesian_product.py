"""Products of tables.

Every item of a FROM clause must be joined with the others: by ON, USING, NATURAL, or by a condition in WHERE that
names both. `ON true` joins nothing. A column without its table's name may belong to any item, so a condition with
such a column joins any two items. A subquery of a single row needs no condition, and neither does a function of
columns of other items. With `cross_join: true` a product may be written as CROSS JOIN. The rule also checks USING in
DELETE and FROM in UPDATE.

Why: two tables of a million rows without a condition between them make 10^12 rows. Such a statement never ends, and
keeps a processor and the disks busy until it is stopped.

Instead: join the tables by their keys, and write the table's name or alias before each column.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from pgjit.policy.decision import STATEMENT, Violation
from pgjit.policy.options import RuleOptions
from pgjit.policy.passages import Passages
from pgjit.policy.policy import StatementTerms
from pgjit.policy.preset import Preset
from pgjit.policy.rule import Rule
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.statement import Statement

__all__ = ["RULE", "CartesianProductOptions"]


class CartesianProductOptions(RuleOptions):
    cross_join: bool = Field(False, strict=True, description="Whether a product may be written as CROSS JOIN.")


def _check(
    statement: Statement, terms: StatementTerms, _referenced: ReferencedObjects | None, _passages: Passages | None
) -> Iterator[Violation]:
    options = terms.options("cartesian-product", CartesianProductOptions)
    for product in statement.shape.products:
        if product.explicit and options.cross_join:
            continue
        yield Violation(
            rule="cartesian-product",
            message="a product of tables is not allowed under this policy",
            detail="No condition joins this item with those before it.",
            hint="Join by columns of both, each with its table's name or alias."
            + (" An intended product may be written as CROSS JOIN." if options.cross_join else ""),
            position=product.position or statement.position + 1,
            statement=statement.index,
            objects=STATEMENT,
        )


RULE = Rule(
    "cartesian-product", __doc__, _check, options=CartesianProductOptions,
    on=frozenset(), switch=frozenset({Preset.READ_ONLY, Preset.READ_WRITE}),
)  # fmt: skip
