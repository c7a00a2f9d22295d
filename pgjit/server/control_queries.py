"""The SQL queries of a control connection, and how their rows are read. Pure.

Every row begins with the columns of a `ServerInstance`: it names the server that sent it. The queries call functions
and read no views, so a lock on a system catalog cannot delay them: after the first query the backend's caches hold
what they need.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from pgjit.grants.server_process import ProcessSighting, ServerInstance, ServerProcess

__all__ = [
    "RIGHTS", "ROLE", "Rights", "identify_query", "observe_query", "read_process", "read_rights", "read_sighting",
    "terminate_query",
]  # fmt: skip

Row = tuple[str | None, ...]

RIGHTS = (
    "SELECT has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE'), "
    "has_function_privilege('pg_catalog.pg_current_wal_lsn()', 'EXECUTE') "
    "AND has_function_privilege('pg_catalog.pg_walfile_name(pg_lsn)', 'EXECUTE')"
)
# A read-only default that ALTER ROLE gave to the login role says nothing about the server: pgjit's sessions set their
# own value in the startup packet.
ROLE = (
    "SELECT pg_catalog.pg_is_in_recovery(), "
    "(SELECT setting = 'on' AND source <> ALL ('{user,\"database user\"}') "
    "FROM pg_catalog.pg_settings WHERE name = 'default_transaction_read_only')"
)
_TIME = "pg_catalog.to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US')"
_SYSTEM = "(SELECT system_identifier FROM pg_catalog.pg_control_system())"
_TIMELINE = (
    "CASE WHEN NOT pg_catalog.pg_is_in_recovery() "
    "THEN pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8) END"
)
_ENDPOINT = "pg_catalog.host(pg_catalog.inet_server_addr()) || ':' || pg_catalog.inet_server_port()"
_PROCESS = "FROM pg_catalog.pg_stat_get_activity({pid}) AS a WHERE a.pid = {pid}"
# A backend of the same role with a hidden start time counts as present: a login that lost its rights proves nothing.
_PRESENT = (
    "(SELECT pg_catalog.count(*) "
    + _PROCESS
    + " AND (a.backend_start = timestamptz '{started}' OR (a.backend_start IS NULL AND a.usesysid = {role})))"
)
_TERMINATED = (
    "(SELECT pg_catalog.count(*) "
    + _PROCESS
    # A CASE, so that no plan signals the process before its start time was compared.
    + " AND CASE WHEN a.backend_start = timestamptz '{started}' "
    + "THEN pg_catalog.pg_terminate_backend(a.pid) ELSE false END)"
)
_COLUMNS = 5


@dataclass(frozen=True, slots=True)
class Rights:
    """Which columns of a `ServerInstance` this login may read: a server may be stricter than the defaults."""

    system: bool = True
    timeline: bool = True


def read_rights(row: Row) -> Rights:
    return Rights(row[0] == "t", row[1] == "t")


def identify_query(pid: int, rights: Rights) -> str:
    """The start time and the login role of backend `pid`."""
    columns = f"{_TIME.format('a.backend_start')}, a.usesysid "
    return f"SELECT {_instance(rights)}, {columns} {_PROCESS.format(pid=int(pid))}"


def observe_query(process: ServerProcess, rights: Rights) -> str:
    return f"SELECT {_instance(rights)}, {_PRESENT}, 0".format(**_parameters(process))


def terminate_query(process: ServerProcess, rights: Rights) -> str:
    """Signal the process, and report whether it is present; it may take a while to exit."""
    return f"SELECT {_instance(rights)}, {_PRESENT}, {_TERMINATED}".format(**_parameters(process))


def read_process(row: Row, pid: int) -> ServerProcess | None:
    """None if the login may not see the start time."""
    started, role = row[_COLUMNS : _COLUMNS + 2]
    if started is None or role is None:
        return None
    return ServerProcess(pid=pid, started=_moment(started), role=int(role), instance=_read_instance(row))


def read_sighting(row: Row) -> tuple[ProcessSighting, bool]:
    """The sighting, and whether the process was signalled."""
    present, terminated = row[_COLUMNS : _COLUMNS + 2]
    return ProcessSighting(instance=_read_instance(row), there=present != "0"), terminated not in ("0", None)


def _instance(rights: Rights) -> str:
    return ", ".join(
        (
            _SYSTEM if rights.system else "NULL",
            _TIME.format("pg_catalog.pg_postmaster_start_time()"),
            _TIMELINE if rights.timeline else "NULL",
            "pg_catalog.pg_is_in_recovery()",
            _ENDPOINT,
        )
    )


def _read_instance(row: Row) -> ServerInstance:
    """Raises ValueError for a row that no server sends."""
    system, started, timeline, standby, endpoint = row[:_COLUMNS]
    if started is None:
        raise ValueError("the server does not report its start time")
    return ServerInstance(
        system=system, started=_moment(started), timeline=timeline, standby=standby == "t", endpoint=endpoint
    )


def _parameters(process: ServerProcess) -> dict[str, object]:
    return {"pid": int(process.pid), "started": process.started.isoformat(), "role": int(process.role)}


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
