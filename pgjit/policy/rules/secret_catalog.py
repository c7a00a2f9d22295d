"""Catalogs with secrets.

Reading a system catalog that holds credentials, server secrets or contents of other tables is refused: `pg_authid`,
`pg_shadow`, `pg_user_mapping`, `pg_user_mappings`, `pg_subscription`, `pg_largeobject`, `pg_hba_file_rules`,
`pg_ident_file_mappings`, `pg_file_settings`, `pg_statistic`, `pg_stats` and their kind, and the tables of `pg_toast`.
Of others it is the columns that hold options, by `*` and rows as values too: `pg_foreign_server.srvoptions`,
`pg_foreign_table.ftoptions`, `pg_attribute.attfdwoptions` (both where there are foreign tables) and
`pg_foreign_data_wrapper.fdwoptions`. With a catalog it is seen through views as well.

Why: `pg_read_all_data` gives read access to password hashes in `pg_authid`; the statistics hold sampled values of
columns.

Instead: Roles without passwords are in `pg_roles`; sizes and row estimates are in `pg_class`; the other columns of
these catalogs can be named; all of `information_schema` but options may be read.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import Violation
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.resolve import resolve
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
    "user_mapping_options", "column_options", "foreign_server_options", "foreign_table_options",
    "foreign_data_wrapper_options", "_pg_user_mappings", "_pg_foreign_servers", "_pg_foreign_tables",
    "_pg_foreign_table_columns", "_pg_foreign_data_wrappers",
})  # fmt: skip

COLUMNS = {
    "pg_attribute": "attfdwoptions", "pg_foreign_table": "ftoptions", "pg_foreign_server": "srvoptions",
    "pg_foreign_data_wrapper": "fdwoptions",
}  # fmt: skip
_OF_FOREIGN_TABLES = frozenset({"pg_attribute", "pg_foreign_table"})


def _check(statement: Statement, _terms: StatementTerms, touched: Touched | None) -> Iterator[Violation]:
    for relation in statement.relations:
        if _secret(relation):
            yield _violation(statement, f"catalog `{relation.text}`", relation.position)
    for each in touched.relations if touched is not None else ():
        if each.schema is not None and each.through and _secret(Name((each.schema, each.name))):
            yield _violation(statement, f"catalog `{each.name}`, behind `{each.through[0]}`,", each.position)
    yield from _columns(statement, touched)


def _columns(statement: Statement, touched: Touched | None) -> Iterator[Violation]:
    if touched is None:
        if not any(relation.parts[-1:] and relation.parts[-1] in COLUMNS for relation in statement.relations):
            return
        touched = resolve(statement, None)
    told: set[str] = set()
    renamed = {
        source.name[-1]
        for level in statement.scopes.levels
        for source in level.sources
        if source.columns and source.name
    }
    for column in touched.columns:
        secret = COLUMNS.get(column.relation)
        if secret is None or column.relation in told or column.schema not in (None, "pg_catalog"):
            continue
        hidden = column.schema is None and column.relation in renamed  # by a list of other names for its columns
        if (column.column not in (None, secret) and not hidden) or column.action == "write":
            continue
        if column.relation in _OF_FOREIGN_TABLES and not touched.foreign:
            continue  # there is nothing in it
        told.add(column.relation)
        behind = f", behind `{column.through[0]}`," if column.through else ""
        yield _violation(statement, f"column `{secret}` of catalog `{column.relation}`{behind}", column.position)


def _violation(statement: Statement, what: str, position: int | None) -> Violation:
    return Violation(
        rule="secret-catalog",
        message=f"{what} may not be read",
        detail="It holds credentials, or contents of tables past their own rules.",
        hint="Name other columns. Roles without their passwords are in pg_roles; sizes and counts are in pg_class.",
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
