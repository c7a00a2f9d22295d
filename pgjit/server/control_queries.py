"""What a control connection asks, and how its answers read. Pure.

Every answer names the server that it comes from: its first columns are those of an `Instance`. Asked of functions and
not of views, so that no lock on a catalog keeps an answer back; what they need is in the backend's caches from the
first question on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from pgjit.grants.server_process import Instance, ProcessSighting, ServerProcess

__all__ = ["RIGHTS", "ROLE", "Rights", "look", "process_of", "read_process", "read_rights", "read_sight", "terminate"]

Row = tuple[str | None, ...]

RIGHTS = (
    "SELECT has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE'), "
    "has_function_privilege('pg_catalog.pg_current_wal_lsn()', 'EXECUTE') "
    "AND has_function_privilege('pg_catalog.pg_walfile_name(pg_lsn)', 'EXECUTE')"
)
# A setting of the login role is not the server's: roles of agents are read-only by default, and a session has its
# own setting in its startup packet.
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
# Whose start is not shown may be the one that is meant: a login that has lost its rights proves nothing.
_THERE = (
    "(SELECT pg_catalog.count(*) "
    + _PROCESS
    + " AND (a.backend_start = timestamptz '{started}' OR (a.backend_start IS NULL AND a.usesysid = {role})))"
)
_TERMINATED = (
    "(SELECT pg_catalog.count(*) "
    + _PROCESS
    # A CASE: no plan asks it to end before it was seen to be the one that is meant.
    + " AND CASE WHEN a.backend_start = timestamptz '{started}' "
    + "THEN pg_catalog.pg_terminate_backend(a.pid) ELSE false END)"
)
_COLUMNS = 5


@dataclass(frozen=True, slots=True)
class Rights:
    """What of an `Instance` this login may read: a server may be stricter than PostgreSQL is by itself."""

    system: bool = True
    timeline: bool = True


def read_rights(row: Row) -> Rights:
    return Rights(row[0] == "t", row[1] == "t")


def process_of(pid: int, rights: Rights) -> str:
    """The backend `pid`: when it began, and as which role it logged in."""
    found = f"{_TIME.format('a.backend_start')}, a.usesysid "
    return f"SELECT {_instance(rights)}, {found} {_PROCESS.format(pid=int(pid))}"


def look(process: ServerProcess, rights: Rights) -> str:
    return f"SELECT {_instance(rights)}, {_THERE}, 0".format(**_named(process))


def terminate(process: ServerProcess, rights: Rights) -> str:
    """Ask it to end, and say whether it is there; it may take its time to go."""
    return f"SELECT {_instance(rights)}, {_THERE}, {_TERMINATED}".format(**_named(process))


def read_process(row: Row, pid: int) -> ServerProcess | None:
    """None where the login may not see when it began."""
    started, role = row[_COLUMNS : _COLUMNS + 2]
    if started is None or role is None:
        return None
    return ServerProcess(pid=pid, started=_moment(started), role=int(role), instance=_read_instance(row))


def read_sight(row: Row) -> tuple[ProcessSighting, bool]:
    """What was seen, and whether it was asked to end."""
    there, terminated = row[_COLUMNS : _COLUMNS + 2]
    return ProcessSighting(instance=_read_instance(row), there=there != "0"), terminated not in ("0", None)


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


def _read_instance(row: Row) -> Instance:
    """Raises ValueError where no server says so."""
    system, started, timeline, standby, endpoint = row[:_COLUMNS]
    if started is None:
        raise ValueError("the server does not say when it was started")
    return Instance(
        system=system, started=_moment(started), timeline=timeline, standby=standby == "t", endpoint=endpoint
    )


def _named(process: ServerProcess) -> dict[str, object]:
    return {"pid": int(process.pid), "started": process.started.isoformat(), "role": int(process.role)}


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
