"""System catalogs that hold credentials, raw contents or samples of other tables."""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import Violation
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.statement import Name, Statement

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


def _check(statement: Statement, _terms: StatementTerms) -> Iterator[Violation]:
    for relation in statement.relations:
        if _secret(relation):
            yield Violation(
                rule="secret-catalog",
                message=f"catalog `{relation.text}` may not be read",
                detail="It holds credentials, or contents of tables past their own rules.",
                hint="Roles without their passwords are in pg_roles; sizes and counts are in pg_class.",
                position=relation.position,
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


RULE = Rule("secret-catalog", _check)
