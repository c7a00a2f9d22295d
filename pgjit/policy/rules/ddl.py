"""Statements that define objects.

CREATE, ALTER, DROP, TRUNCATE, COMMENT, GRANT, REVOKE, REFRESH MATERIALIZED VIEW and every other statement that
makes, changes or takes away an object or a right, at the top of a message and inside another statement.

Why: what such a statement does cannot be undone with data, holds up everybody who uses the object, and can leave
code behind that runs with somebody else's rights later. Temporary tables can stand in the place of real ones.

Instead: have schema changes made by a migration under review; under `access: full` they run. Results that are
needed twice can be written as a WITH.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import Violation
from pgjit.policy.kinds import DDL
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.statement import Statement
from pgjit.sql.touched import Touched

__all__ = ["RULE"]


def _check(statement: Statement, terms: StatementTerms, _touched: Touched | None) -> Iterator[Violation]:
    for kind in dict.fromkeys((statement.kind, *statement.inner)):
        if kind in DDL:
            yield Violation(
                rule="ddl",
                message=f"{kind.replace('-', ' ').upper()} is not allowed under this policy",
                detail=f"Under {terms.access.value} access no object may be defined, changed or taken away.",
                hint="Read with SELECT; for a changed schema ask for a migration, or for a policy of full access.",
                position=statement.position + 1,
                statement=statement.index,
            )


RULE = Rule("ddl", __doc__, _check)
