"""Foreign tables.

The rule needs the server's catalog. A foreign table that a statement names, or that a view behind it reads, must be
named by an entry of `allow` without a glob. A policy may switch the rule off.

Why: the data of a foreign table is on another server, where this session's read-only mode has no effect. A foreign
table over a view that writes does write there. It also uses rights on that server that no policy has given.

Instead: ask for access to that server by a connection of its own, or for the foreign table to be named in the policy.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import JudgedObject, Violation
from pgjit.policy.passages import Passages
from pgjit.policy.policy import StatementTerms
from pgjit.policy.preset import Preset
from pgjit.policy.rule import Rule
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.statement import Statement

__all__ = ["RULE"]


def _check(
    statement: Statement, terms: StatementTerms, referenced: ReferencedObjects | None, passages: Passages | None
) -> Iterator[Violation]:
    for relation in referenced.relations if referenced is not None else ():
        name = (relation.schema, relation.name)
        if relation.kind != "f":
            continue
        entry = next((each for each in terms.allow if each.relations and each.relations.name(name)), None)
        if entry is not None:
            if passages is not None:
                passages.add(statement, entry.place, "relation", name, relation.position, relation.through)
            continue
        through = f", behind `{relation.through[0]}`," if relation.through else ""
        yield Violation(
            rule="foreign-table",
            message=f"foreign table `{relation.schema}.{relation.name}`{through} is not allowed under this policy",
            detail="It is on another server, which this session's read-only mode does not bind.",
            hint="Ask for a connection to that server, or for the table to be named in the policy.",
            position=relation.position or statement.position + 1,
            statement=statement.index,
            objects=(JudgedObject("relation", name, relation.position, relation.through),),
        )


RULE = Rule("foreign-table", __doc__, _check, switch=frozenset({Preset.READ_ONLY, Preset.READ_WRITE}))
