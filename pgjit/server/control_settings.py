"""The settings of a control connection. Every setting that could close it or delay its answers is pinned. Pure.

They go into the startup packet, where they override the settings of the role and the database. An agent may be able
to change its login role (`ALTER ROLE current_user SET statement_timeout = '1ms'`); that must not disturb the
connection that ends its sessions.
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
    # These could end a query, a transaction or the connection.
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "0",
    "statement_timeout": "0",
    "tcp_keepalives_count": "0",
    "tcp_keepalives_idle": "0",
    "tcp_keepalives_interval": "0",
    "tcp_user_timeout": "0",
    # These could make it wait: for a safe snapshot, a missing library, the JIT compiler, parallel workers.
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
    """`NEWEST` gives all settings; a lower level leaves out newer ones, which an older server would reject."""
    newer = (settings for _, settings in _SINCE[NEWEST - level :])
    return {name: value for settings in (_ALWAYS, *newer) for name, value in settings.items()}
