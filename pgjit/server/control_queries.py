"""The SQL queries of a control connection, and how their rows are read. Pure.

Every row begins with the columns of a `ServerInstance`: it names the server that sent it. The queries call functions
and read no views, so a lock on a system catalog cannot delay them: after the first query the backend's caches hold
what they need.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from pgjit.grants.server_process import ProcessSighting, ServerInstance, ServerProcess

__all__ = [
    "RIGHTS", "ROLE", "Rights", "Signal", "SignalRequest", "identify_query", "read_process", "read_rights",
    "read_sightings", "signal_query",
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
    + _PROCESS.format(pid="p.pid")
    + " AND (a.backend_start = p.started OR (a.backend_start IS NULL AND a.usesysid = p.role)))"
)
_SIGNALLED = (
    "(SELECT pg_catalog.count(*) "
    + _PROCESS.format(pid="p.pid")
    # A CASE, so that no plan signals the process before its start time was compared.
    + " AND CASE WHEN a.backend_start = p.started THEN CASE p.signal "
    + "WHEN 'terminate' THEN pg_catalog.pg_terminate_backend(a.pid) "
    + "WHEN 'cancel' THEN pg_catalog.pg_cancel_backend(a.pid) ELSE false END ELSE false END)"
)
_REQUESTS = (
    "FROM ROWS FROM (pg_catalog.unnest('{{{pids}}}'::integer[]), pg_catalog.unnest('{{{started}}}'::timestamptz[]), "
    "pg_catalog.unnest('{{{roles}}}'::oid[]), pg_catalog.unnest('{{{signals}}}'::text[])) "
    "WITH ORDINALITY AS p(pid, started, role, signal, n) ORDER BY p.n"
)
_COLUMNS = 5


Signal = Literal["none", "cancel", "terminate"]


@dataclass(frozen=True, slots=True)
class SignalRequest:
    """A process to look for, and the signal that it gets if it is there."""

    process: ServerProcess
    signal: Signal


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


def signal_query(requests: Sequence[SignalRequest], rights: Rights) -> str:
    """One row for each request, in order: whether the process is present, and whether it was signalled.

    A terminated process may take a while to exit.
    """
    processes = [request.process for request in requests]
    places = _REQUESTS.format(
        pids=",".join(str(int(process.pid)) for process in processes),
        started=",".join(f'"{process.started.isoformat()}"' for process in processes),
        roles=",".join(str(int(process.role)) for process in processes),
        signals=",".join(request.signal for request in requests),
    )
    return f"SELECT {_instance(rights)}, {_PRESENT}, {_SIGNALLED} {places}"


def read_process(row: Row, pid: int, socket: str | None) -> ServerProcess | None:
    """None if the login may not see the start time. `socket`: as in `read_sightings`."""
    started, role = row[_COLUMNS : _COLUMNS + 2]
    if started is None or role is None:
        return None
    return ServerProcess(pid=pid, started=_moment(started), role=int(role), instance=_read_instance(row, socket))


def read_sightings(rows: Sequence[Row], socket: str | None) -> list[tuple[ProcessSighting, bool]]:
    """Of each row the sighting, and whether the process was signalled. One backend has sent all of them.

    `socket`: the path of the Unix socket that leads to it.
    """
    instance = _read_instance(rows[0], socket)
    answers = []
    for row in rows:
        present, signalled = row[_COLUMNS : _COLUMNS + 2]
        answers.append((ProcessSighting(instance=instance, there=present != "0"), signalled not in ("0", None)))
    return answers


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


def _read_instance(row: Row, socket: str | None) -> ServerInstance:
    """Over a Unix socket the server reports no address. Raises ValueError for a row that no server sends."""
    system, started, timeline, standby, endpoint = row[:_COLUMNS]
    if started is None:
        raise ValueError("the server does not report its start time")
    return ServerInstance(
        system=system,
        started=_moment(started),
        timeline=timeline,
        standby=standby == "t",
        endpoint=socket or endpoint,
    )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
