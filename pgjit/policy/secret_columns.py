"""The columns of system catalogs that may hold a secret, and under which condition they do.

Values only. The rule `secret-catalog` applies them.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["FUNCTIONS", "INSTEAD", "SECRETS", "Secret"]

When = Literal["always", "found", "quoted", "sampled"]
"""`always`. `found`: if the login role could see a secret there. `quoted`: if it repeats values of a column that the
policy does not allow to be read. `sampled`: if the policy keeps any relation or column back."""


class Secret(NamedTuple):
    when: When
    place: str = ""  # as `Catalog.secrets` and `Catalog.quotes` name it


INSTEAD = {
    "pg_authid": "Roles without their passwords are in pg_roles.",
    "pg_shadow": "Users without their passwords are in pg_user.",
    **dict.fromkeys(
        ("pg_hba_file_rules", "pg_ident_file_mappings", "pg_file_settings", "pg_config"),
        "Settings that are in force can be read from pg_settings.",
    ),
    **dict.fromkeys(
        ("pg_largeobject", "pg_backend_memory_contexts", "pg_shmem_allocations", "pg_shmem_allocations_numa"),
        "Nothing shows the same without it: ask for what it holds outside of this database.",
    ),
}
"""Catalogs that may not be read at all, each with a hint."""

_FOUND = {
    "pg_attribute": "attfdwoptions", "pg_foreign_table": "ftoptions", "pg_foreign_server": "srvoptions",
    "pg_foreign_data_wrapper": "fdwoptions", "pg_user_mappings": "umoptions", "pg_subscription": "subconninfo",
    "pg_db_role_setting": "setconfig", "pg_proc": "proconfig", "pg_roles": "rolconfig", "pg_user": "useconfig",
}  # fmt: skip
_VALUES = (
    "most_common_vals", "histogram_bounds", "most_common_elems", "range_length_histogram", "range_bounds_histogram",
)  # fmt: skip
_SAMPLED = {"pg_stats": _VALUES, "pg_stats_ext": ("most_common_vals",), "pg_stats_ext_exprs": _VALUES}
_INFORMATION = {
    "user_mapping_options": ("option_value", "pg_user_mappings.umoptions"),
    "column_options": ("option_value", "pg_attribute.attfdwoptions"),
    "foreign_table_options": ("option_value", "pg_foreign_table.ftoptions"),
    "foreign_server_options": ("option_value", "pg_foreign_server.srvoptions"),
    "foreign_data_wrapper_options": ("option_value", "pg_foreign_data_wrapper.fdwoptions"),
    "_pg_foreign_table_columns": ("attfdwoptions", "pg_attribute.attfdwoptions"),
    "_pg_foreign_tables": ("ftoptions", "pg_foreign_table.ftoptions"),
    "_pg_foreign_servers": ("srvoptions", "pg_foreign_server.srvoptions"),
    "_pg_foreign_data_wrappers": ("fdwoptions", "pg_foreign_data_wrapper.fdwoptions"),
}
_ALWAYS = {
    "pg_user_mapping": ("umoptions",),
    "pg_statistic": tuple(f"stavalues{number}" for number in range(1, 6)),
    "pg_statistic_ext_data": ("stxdmcv", "stxdexpr"),
}


def _secrets() -> dict[tuple[str, str], dict[str, Secret]]:
    found: dict[tuple[str, str], dict[str, Secret]] = {}
    for relation, column in _FOUND.items():
        found["pg_catalog", relation] = {column: Secret("found", f"{relation}.{column}")}
    for relation, columns in (*_SAMPLED.items(), *_ALWAYS.items()):
        when: When = "sampled" if relation in _SAMPLED else "always"
        found["pg_catalog", relation] = dict.fromkeys(columns, Secret(when))
    for relation, (column, place) in _INFORMATION.items():
        found["information_schema", relation] = {column: Secret("found", place)}
    found["information_schema", "_pg_user_mappings"] = {"umoptions": Secret("always")}
    found["pg_catalog", "pg_settings"] = {
        column: Secret("found", f"pg_settings.{column}") for column in ("setting", "reset_val")
    }
    found["pg_catalog", "pg_attribute"]["attmissingval"] = Secret("quoted", "pg_attribute.attmissingval")
    found["pg_catalog", "pg_class"] = {"relpartbound": Secret("quoted", "pg_class.relpartbound")}
    return found


SECRETS = _secrets()
"""By schema and relation: its secret columns."""

FUNCTIONS = {
    "pg_get_functiondef": Secret("found", "pg_proc.proconfig"),
    "pg_get_partition_constraintdef": Secret("quoted", "pg_class.relpartbound"),
    "pg_show_all_settings": Secret("found", "pg_settings.setting"),
}
"""Built-in functions that return the same as a column."""
