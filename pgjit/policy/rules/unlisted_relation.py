"""Relations and columns that `allow` does not name.

Where an entry of `allow` names relations, schemas or columns, it takes the place of what the preset allows for the
kinds that it speaks of: what is read, or written, must then be named. An entry for one kind of writing speaks for
all writing. Reading the system catalogs stays allowed. A
view is allowed by its own name; what it reads is the server's to allow, and `deny`'s to refuse. Who makes a view that
PostgreSQL would pass writes on through needs what is behind it to be allowed for writing.

Why: every object that a statement touches must be allowed, and a table that is made tomorrow is not allowed yet.

Instead: use what the policy names, or ask for the relation to be named there. A view that is only to be read is made
with `OFFSET 0` at the end of its query: nothing is written through it.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import Violation
from pgjit.policy.kinds import WRITES
from pgjit.policy.match import column_grounds, relation_grounds, words_of_column, words_of_relation
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.statement import Statement

__all__ = ["RULE"]


_ONLY_READ = "End the view's query with OFFSET 0: then it can only be read."


def _check(statement: Statement, terms: StatementTerms, referenced: ReferencedObjects | None) -> Iterator[Violation]:
    if referenced is None or not terms.names_relations:
        return
    refused: set[tuple[str | None, str]] = set()
    told: set[str] = set()
    for relation in referenced.relations:
        hint = None
        if relation_grounds(terms, words_of_relation(statement, relation), relation) is None:
            refused.add((relation.schema, relation.name))
            verb = statement.kind.replace("-", " ") if relation.action == "define" else relation.action
            done = "read" if verb == "read" else f"used for {verb.upper()}"
            name = f"{relation.schema}.{relation.name}" if relation.schema else relation.name
            message = f"relation `{name}` may not be {done} under this policy"
            if relation.action in WRITES and "create-view" in (statement.kind, *statement.inner):
                message, hint = f"relation `{name}` may not be written to, and could be through this view", _ONLY_READ
                if message in told:
                    continue
                told.add(message)
            yield _violation(statement, message, relation.position, hint)
    for column in referenced.columns:
        if (column.schema, column.relation) in refused or column.whole_row:  # told by star-on-denied
            continue
        if column_grounds(terms, words_of_column(statement, column, referenced), column) is None:
            own = f"column `{column.column}`" if column.column else "some column"
            yield _violation(
                statement, f"{own} of `{column.relation}` may not be touched under this policy", column.position
            )


def _violation(statement: Statement, message: str, position: int | None, hint: str | None = None) -> Violation:
    return Violation(
        rule="unlisted-relation",
        message=message,
        detail="The policy names what may be used, and this is not among it.",
        hint=hint or "Use what the policy names, with its schema, or ask for this to be named.",
        position=position or statement.position + 1,
        statement=statement.index,
    )


RULE = Rule("unlisted-relation", __doc__, _check)
