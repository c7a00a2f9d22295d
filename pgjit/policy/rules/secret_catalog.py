"""Catalogs with secrets.

Reading a system catalog that holds credentials, server secrets or contents of other tables is refused: `pg_authid`,
`pg_shadow`, `pg_user_mapping`, `pg_user_mappings`, `pg_subscription`, `pg_largeobject`, `pg_hba_file_rules`,
`pg_ident_file_mappings`, `pg_file_settings`, `pg_statistic`, `pg_stats` and their kind, and the tables of
`pg_toast`. With a catalog it is seen through views as well.

Why: `pg_read_all_data` gives read access to password hashes in `pg_authid`; the statistics hold sampled values of
columns.

Instead: Roles without passwords are in `pg_roles`; sizes and row estimates are in `pg_class`; all of
`information_schema` but the options of foreign servers and mappings may be read.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import Violation
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.statement import Name, Statement
from pgjit.sql.touched import Touched

__all__ = ["RULE"]

SECRETS = frozenset({
    "pg_authid", "pg_shadow", "pg_user_mapping", "pg_user_mappings", "pg_subscription", "pg_largeobject",
    "pg_hba_file_rules", "pg_ident_file_mappings", "pg_file_settings", "pg_statistic", "pg_stats",
    "pg_statistic_ext_data", "pg_stats_ext", "pg_stats_ext_exprs", "pg_backend_memory_contexts",
    "pg_shmem_allocations", "pg_config",
})  # fmt: skip
_INFORMATION = frozenset({
    "user_mapping_options", "foreign_server_options", "foreign_table_options", "foreign_data_wrapper_options",
    "_pg_user_mappings", "_pg_foreign_servers", "_pg_foreign_tables", "_pg_foreign_table_columns",
    "_pg_foreign_data_wrappers",
})  # fmt: skip


def _check(statement: Statement, _terms: StatementTerms, touched: Touched | None) -> Iterator[Violation]:
    for relation in statement.relations:
        if _secret(relation):
            yield _violation(statement, f"catalog `{relation.text}`", relation.position)
    for each in touched.relations if touched is not None else ():
        if each.schema is not None and each.through and _secret(Name((each.schema, each.name))):
            yield _violation(statement, f"catalog `{each.name}`, behind `{each.through[0]}`,", each.position)


def _violation(statement: Statement, what: str, position: int | None) -> Violation:
    return Violation(
        rule="secret-catalog",
        message=f"{what} may not be read",
        detail="It holds credentials, or contents of tables past their own rules.",
        hint="Roles without their passwords are in pg_roles; sizes and counts are in pg_class.",
        position=position or statement.position + 1,
        statement=statement.index,
    )


def _secret(relation: Name) -> bool:
    *schemas, name = relation.parts
    schema = schemas[-1] if schemas else None
    if schema is not None and schema.startswith("pg_toast"):
        return True
    if schema == "information_schema":
        return name in _INFORMATION
    return schema in (None, "pg_catalog") and name in SECRETS


RULE = Rule("secret-catalog", __doc__, _check)
