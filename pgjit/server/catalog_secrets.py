"""The query that finds possible secrets in system catalogs which every role may read.

Decides which options and settings are harmless by name, and which values look like a password. The server compares
the values; only the names of columns and settings are returned.
"""

from __future__ import annotations

from typing import Any

from pgjit.policy.shown_settings import SHOWN
from pgjit.server.link import Link
from pgjit.server.simple_query import run_query

__all__ = ["HARMLESS", "READABLE_BY_ALL", "find_secrets"]

HARMLESS = frozenset(
    """
    address analyze_sampling application_name async_capable batch_size channel_binding client_encoding collection
    column_name connect_timeout database dbname dbserver default delimiter encoding escape extensions
    fallback_application_name fdw_startup_cost fdw_tuple_cost fetch_size filename force_not_null force_null format
    gssdelegation gssencmode gsslib header host hostaddr keep_connections keepalives keepalives_count keepalives_idle
    keepalives_interval key krbsrvname load_balance_hosts log_verbosity max_long max_protocol_version
    min_protocol_version nchar null on_error options parallel_abort parallel_commit password_required port prefetch
    quote readonly reject_limit replication require_auth requirepeer sample_percent schema schema_name server
    servername service ssl_max_protocol_version ssl_min_protocol_version sslcert sslcertmode sslcompression sslcrl
    sslcrldir sslmode sslnegotiation sslrootcert sslsni strip_zeros table table_name target_session_attrs
    tcp_user_timeout tds_version truncatable updatable use_remote_estimate use_scram_passthrough user
""".split()
)
"""Options of foreign servers, tables and columns that hold no secret: those of postgres_fdw, file_fdw, dblink_fdw and
a few others. Any other option may hold one."""

_SUSPICIOUS_VALUE = (
    r"(pass(word|wd|phrase)?|pwd|secret|token|api_?key|credentials?|sslkey|passfile)[\s''\"]*[=:]"
    r"|://[^/@\s]*:[^/@\s]*@|-----BEGIN|\m(AKIA|sk[-_]|ghp_|xox[a-z]-)[A-Za-z0-9]"
)
"""A PostgreSQL regular expression, for a string literal, that matches values which look like a secret."""


def _names(names: frozenset[str]) -> str:
    return "ARRAY[" + ", ".join(f"'{name}'" for name in sorted(names)) + "]"


_OPTION = (
    f"(lower(split_part(o, '=', 1)) <> ALL ({_names(HARMLESS)}) "
    f"AND o !~* '=(true|false|on|off|yes|no)$' OR o ~* '{_SUSPICIOUS_VALUE}')"
)
_SETTING = f"lower(split_part(o, '=', 1)) <> ALL ({_names(SHOWN)})"

_OPTIONS = {
    "pg_attribute.attfdwoptions": "pg_attribute",
    "pg_foreign_data_wrapper.fdwoptions": "pg_foreign_data_wrapper",
    "pg_foreign_server.srvoptions": "pg_foreign_server",
    "pg_foreign_table.ftoptions": "pg_foreign_table",
    "pg_user_mappings.umoptions": "pg_user_mappings",
}
_CONFIGURATIONS = {
    "pg_db_role_setting.setconfig": "pg_db_role_setting",
    "pg_proc.proconfig": "pg_proc",
    "pg_roles.rolconfig": "pg_roles",
    "pg_user.useconfig": "pg_user",
}


def _options_query(place: str, source: str) -> str:
    column = place.partition(".")[2]
    matches = f"SELECT FROM {source}, unnest({column}) AS o WHERE {_OPTION}"
    return f"SELECT '{place}', NULL WHERE EXISTS ({matches})"


def _configurations_query(place: str, source: str) -> str:
    column = place.partition(".")[2]
    matches = f"FROM {source}, unnest({column}) AS o WHERE {_SETTING}"
    return f"SELECT '{place}', split_part(o, '=', 1) {matches}"


def _settings_query(column: str) -> str:
    """A compiled-in default is no secret, and neither is a setting that is off."""
    return (
        f"SELECT 'pg_settings.{column}', name FROM pg_settings "  # noqa: S608 - our own text
        f"WHERE vartype = 'string' AND lower(name) <> ALL ({_names(SHOWN)}) "
        f"AND coalesce({column}, '') NOT IN ('', '(disabled)') AND {column} IS DISTINCT FROM boot_val"
    )


def _connections_query(place: str, source: str) -> str:
    matches = f"SELECT FROM {source} WHERE {place.partition('.')[2]} ~* '{_SUSPICIOUS_VALUE}'"
    return f"SELECT '{place}', NULL WHERE EXISTS ({matches})"


_QUERIES = {
    **{place: _options_query(place, source) for place, source in _OPTIONS.items()},
    **{place: _configurations_query(place, source) for place, source in _CONFIGURATIONS.items()},
    **{f"pg_settings.{column}": _settings_query(column) for column in ("setting", "reset_val")},
    "pg_subscription.subconninfo": _connections_query("pg_subscription.subconninfo", "pg_subscription"),
}
_UNREADABLE = (
    f"SELECT place FROM unnest({_names(frozenset(_QUERIES))}) AS place "  # noqa: S608 - our own text
    "WHERE NOT has_column_privilege(split_part(place, '.', 1)::regclass, split_part(place, '.', 2), 'SELECT')"
)
_NO_ROWS = "SELECT NULL::text AS place, NULL::text AS setting WHERE false"
READABLE_BY_ALL = " UNION ".join(
    [_NO_ROWS, *(query for place, query in _QUERIES.items() if "subscription" not in place)]
)
"""The possible secrets that every role can read by default: `place` and `setting`."""


async def find_secrets(link: Link) -> list[dict[str, Any]]:
    """`place`, such as pg_roles.rolconfig, and the `setting` it shows; None for a column of options.

    A column that the role may not read counts as a secret: the role may be granted access at any time. The
    connection's search path must be `pg_catalog`. Raises the exceptions of `run_query`.
    """
    unreadable = {row[0] for row in await run_query(link, _UNREADABLE)}
    queries = [query for place, query in _QUERIES.items() if place not in unreadable]
    rows = await run_query(link, " UNION ".join([_NO_ROWS, *queries]) + " ORDER BY 1, 2")
    places = [*rows, *((place, None) for place in sorted(map(str, unreadable)))]
    return [{"place": place, "setting": setting} for place, setting in places]
