"""The question where, among the system catalogs that every role may read, something lies that may be a secret.

Decides by values, and on the server: which options and settings are harmless by their names, and what a value looks
like that holds a password. Only the names of columns and settings come back.
"""

from __future__ import annotations

from typing import Any

from pgjit.policy.shown_settings import SHOWN
from pgjit.server.link import Link
from pgjit.server.simple_query import run_query

__all__ = ["EVERYBODY", "HARMLESS", "find_secrets"]

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
"""Options of servers, tables and columns that hold no secret of themselves: of postgres_fdw, file_fdw, dblink_fdw and
a few others. Any other may."""

_TELLING = (
    r"(pass(word|wd|phrase)?|pwd|secret|token|api_?key|credentials?|sslkey|passfile)[\s''\"]*[=:]"
    r"|://[^/@\s]*:[^/@\s]*@|-----BEGIN|\m(AKIA|sk[-_]|ghp_|xox[a-z]-)[A-Za-z0-9]"
)
"""What a value looks like that holds a secret, as a regular expression of PostgreSQL in a literal."""


def _names(names: frozenset[str]) -> str:
    return "ARRAY[" + ", ".join(f"'{name}'" for name in sorted(names)) + "]"


_OPTION = (
    f"(lower(split_part(o, '=', 1)) <> ALL ({_names(HARMLESS)}) "
    f"AND o !~* '=(true|false|on|off|yes|no)$' OR o ~* '{_TELLING}')"
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


def _of_options(place: str, source: str) -> str:
    column = place.partition(".")[2]
    found = f"SELECT FROM {source}, unnest({column}) AS o WHERE {_OPTION}"
    return f"SELECT '{place}', NULL WHERE EXISTS ({found})"


def _of_configurations(place: str, source: str) -> str:
    column = place.partition(".")[2]
    found = f"FROM {source}, unnest({column}) AS o WHERE {_SETTING}"
    return f"SELECT '{place}', split_part(o, '=', 1) {found}"


def _of_settings(column: str) -> str:
    """What is as it was compiled in is nobody's secret; nor is what is off."""
    return (
        f"SELECT 'pg_settings.{column}', name FROM pg_settings "  # noqa: S608 - our own text
        f"WHERE vartype = 'string' AND lower(name) <> ALL ({_names(SHOWN)}) "
        f"AND coalesce({column}, '') NOT IN ('', '(disabled)') AND {column} IS DISTINCT FROM boot_val"
    )


def _of_connections(place: str, source: str) -> str:
    found = f"SELECT FROM {source} WHERE {place.partition('.')[2]} ~* '{_TELLING}'"
    return f"SELECT '{place}', NULL WHERE EXISTS ({found})"


_QUESTIONS = {
    **{place: _of_options(place, source) for place, source in _OPTIONS.items()},
    **{place: _of_configurations(place, source) for place, source in _CONFIGURATIONS.items()},
    **{f"pg_settings.{column}": _of_settings(column) for column in ("setting", "reset_val")},
    "pg_subscription.subconninfo": _of_connections("pg_subscription.subconninfo", "pg_subscription"),
}
_UNREADABLE = (
    f"SELECT place FROM unnest({_names(frozenset(_QUESTIONS))}) AS place "  # noqa: S608 - our own text
    "WHERE NOT has_column_privilege(split_part(place, '.', 1)::regclass, split_part(place, '.', 2), 'SELECT')"
)
_NOTHING = "SELECT NULL::text AS place, NULL::text AS setting WHERE false"
EVERYBODY = " UNION ".join(
    [_NOTHING, *(question for place, question in _QUESTIONS.items() if "subscription" not in place)]
)
"""What lies where every role can look, unless a server is stricter: `place` and `setting`."""


async def find_secrets(link: Link) -> list[dict[str, Any]]:
    """`place`, such as pg_roles.rolconfig, and the `setting` that it shows; None where it holds options.

    What the role may not read counts as a secret: it may come to be allowed to at any time. The connection's search
    path must be `pg_catalog`. Raises what `run_query` raises.
    """
    unreadable = {row[0] for row in await run_query(link, _UNREADABLE)}
    asked = [question for place, question in _QUESTIONS.items() if place not in unreadable]
    rows = await run_query(link, " UNION ".join([_NOTHING, *asked]) + " ORDER BY 1, 2")
    found = [*rows, *((place, None) for place in sorted(map(str, unreadable)))]
    return [{"place": place, "setting": setting} for place, setting in found]
