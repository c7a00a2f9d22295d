"""Writing to system catalogs: an UPDATE of pg_settings sets a setting, one of pg_class breaks the database."""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import Violation
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.statement import Name, Statement

__all__ = ["RULE"]


def _check(statement: Statement, _terms: StatementTerms) -> Iterator[Violation]:
    for target in statement.targets:
        if _is_catalog(target):
            yield Violation(
                rule="catalog-write",
                message=f"catalog `{target.text}` may not be written to",
                detail="Views of the system catalog change settings when they are written to.",
                hint="Write to tables of your own schemas only; settings are changed with SET.",
                position=target.position,
                statement=statement.index,
            )


def _is_catalog(relation: Name) -> bool:
    """Without a schema, `pg_...` is taken for the system's: its schema is searched first."""
    *schemas, name = relation.parts or ("",)
    if not schemas:
        return name.startswith("pg_") or not name
    return schemas[-1] == "information_schema" or schemas[-1].startswith("pg_")


RULE = Rule("catalog-write", _check)
