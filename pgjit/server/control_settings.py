"""The settings of a control connection: all that could close it, slow it or keep its answers back is pinned. Pure.

They go into the startup packet, where they win over those of the role and the database. An agent may be able to
change its login role's (`ALTER ROLE current_user SET statement_timeout = '1ms'`), and must not reach what ends its
sessions by that.
"""

from __future__ import annotations

__all__ = ["NEWEST", "control_settings"]

_ALWAYS = {
    "application_name": "pgjit control",
    "client_encoding": "UTF8",
    "client_min_messages": "warning",
    "role": "none",
    "search_path": "pg_catalog",
    "standard_conforming_strings": "on",
    # What ends a question, a transaction or the connection.
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "0",
    "statement_timeout": "0",
    "tcp_keepalives_count": "0",
    "tcp_keepalives_idle": "0",
    "tcp_keepalives_interval": "0",
    "tcp_user_timeout": "0",
    # What makes it wait: for a safe snapshot, a library that is not there, a compiler, workers.
    "default_transaction_deferrable": "off",
    "default_transaction_isolation": "read committed",
    "jit": "off",
    "local_preload_libraries": "",
    "max_parallel_workers_per_gather": "0",
}
_SINCE = (
    (17, {"transaction_timeout": "0"}),
    (14, {"client_connection_check_interval": "0", "idle_session_timeout": "0"}),
)
NEWEST = len(_SINCE)


def control_settings(level: int) -> dict[str, str]:
    """For the newest servers (`NEWEST`), or fewer: a server refuses a login with a setting that it does not know."""
    newer = (settings for _, settings in _SINCE[NEWEST - level :])
    return {name: value for settings in (_ALWAYS, *newer) for name, value in settings.items()}
