"""The views that people query: executions, windows, sessions, requests, logins and records.

Decides their columns; `docs/audit.md` describes them. Does not know where the pieces under them are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from pgjit.audit.reading.pieces import PIECES, literal
from pgjit.audit.reading.record_columns import EXECUTION, OUTCOME, VERSION

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["VIEWS", "create_views"]

VIEWS: Final = ("executions", "windows", "sessions", "requests", "logins", "records")
_EXECUTION: Final = ", ".join(f"e.{name}" for name in EXECUTION)
_OUTCOME: Final = ", ".join(f"o.{name}" for name in OUTCOME)
_KNOWN: Final = f"v = {VERSION}"

_JOINED: Final = f"""
    CREATE VIEW pieces.joined AS
    SELECT * FROM pieces.all_finished
    UNION ALL BY NAME
    SELECT e.journal, {_EXECUTION}, o.outcome_seq, o.ended_at, {_OUTCOME}
    FROM pieces.all_waiting e LEFT JOIN pieces.all_late o USING (journal, execution)"""
# A session that began in a segment that retention removed has no row here: its executions are shown all the same.
_OPENED: Final = f"""
    CREATE VIEW pieces.opened AS
    SELECT journal, session, any_value(identity) AS identity, any_value(display) AS display,
      any_value(connection) AS connection,
      any_value(source) AS source, any_value(record ->> 'application_name') AS application_name,
      any_value(record -> 'membership' ->> 'group') AS "group"
    FROM pieces.all_events WHERE type = 'session.opened' AND {_KNOWN} GROUP BY journal, session"""
# What an execution's own records have. To find executions by these alone is much faster: no session is looked up.
_OWN: Final = """
    CREATE VIEW pieces.own AS
    SELECT e.journal, e.seq, e.time, e.identity, split_part(e.identity, '/', 2) AS oid, e.policy, e."window",
      split_part(e.execution, '/', 1) AS session, e.execution, e.decision, e.kind, e.statement,
      coalesce(e.normalised, e.statement) AS normalised, e.fingerprint, e.reads, e.writes, e.calls, e.about,
      coalesce(e.ended, 'unknown') AS ended, e.command, e.rows, coalesce(e.bytes, 0) AS bytes,
      coalesce(e.received, 0) AS received, coalesce(e.sqlstate, e.violations ->> '$[0].sqlstate') AS sqlstate,
      e.message, e.first_row_us, coalesce(e.duration_us, 0) AS duration_us, e.ended_at, e.outcome_seq,
      list_transform(from_json(e.violations, '[{"rule":"VARCHAR"}]'), lambda each: each.rule) AS rules,
      e.violations, coalesce(e.protocol, 'simple') AS protocol, e.parameters, e.prepared_as, e.through,
      e.unresolved, e.statement_bytes
    FROM pieces.joined e"""
_EXECUTIONS: Final = """
    CREATE VIEW executions AS
    SELECT e.journal, e.seq, e.time, e.identity, e.oid, s.display, e.policy, s.connection,
      e.* EXCLUDE (journal, seq, time, identity, oid, policy), s.source, s.application_name, s."group"
    FROM pieces.own e LEFT JOIN pieces.opened s USING (session)"""
_SESSIONS: Final = f"""
    CREATE VIEW sessions AS
    WITH ended AS (
      SELECT journal, session, any_value(time) AS ended_at, any_value(reason) AS reason, any_value(record) AS record
      FROM pieces.all_events WHERE type = 'session.ended' AND {_KNOWN} GROUP BY journal, session)
    SELECT o.journal, o.session, o.time AS opened_at, e.ended_at, e.reason, e.record ->> 'detail' AS detail,
      o.identity, o.oid, o.display, o.record -> 'identity' ->> 'kind' AS kind,
      o.record -> 'identity' ->> 'on_behalf_of' AS on_behalf_of, o.policy, o."window", o.connection, o.source,
      o.record ->> 'application_name' AS application_name, o.record ->> 'tls' AS tls,
      (o.record ->> 'backend_pid')::INTEGER AS backend_pid, o.record ->> 'server_version' AS server_version,
      o.record -> 'membership' ->> 'group' AS "group", o.reason AS asked_for, o.record ->> 'ticket' AS ticket,
      (e.record ->> 'executions')::BIGINT AS executions, e.record -> 'proof' AS proof,
      (e.record -> 'proof' ->> 'gone')::BOOLEAN AS gone, (e.record -> 'proof' ->> 'took_ms')::BIGINT AS took_ms,
      o.record AS opened, e.record AS ended
    FROM (SELECT * FROM pieces.all_events WHERE type = 'session.opened' AND {_KNOWN}) o
    LEFT JOIN ended e USING (session)"""
_WINDOWS: Final = f"""
    CREATE VIEW windows AS
    WITH later AS (
      SELECT "window",
        min(time) FILTER (type = 'window.ended') AS ended_at,
        any_value(reason) FILTER (type = 'window.ended') AS end_reason,
        any_value(record -> 'by' ->> 'display') FILTER (type = 'window.revoked') AS revoked_by,
        any_value(reason) FILTER (type = 'window.revoked') AS revoke_reason,
        count(*) FILTER (type = 'break_glass.used') > 0 AS break_glass,
        any_value(record -> 'by' ->> 'display') FILTER (type = 'break_glass.signed_off') AS signed_off_by,
        count(*) FILTER (type = 'session.opened') AS sessions,
        any_value(request) FILTER (type = 'request.ended') AS request
      FROM pieces.all_events WHERE "window" IS NOT NULL AND {_KNOWN} GROUP BY "window")
    SELECT o.journal, o."window", o.time AS opened_at, (o.record -> 'window' ->> 'ends_at')::TIMESTAMP AS ends_at,
      l.ended_at, l.end_reason, o.identity, o.oid, o.display, o.policy, o.connection, o.source, o.reason,
      coalesce(l.request, o.request) AS request, l.sessions, l.break_glass, l.signed_off_by, l.revoked_by,
      l.revoke_reason, o.record -> 'identity' ->> 'kind' AS kind,
      o.record -> 'identity' ->> 'on_behalf_of' AS on_behalf_of, o.record ->> 'policy_version' AS policy_version
    FROM (SELECT * FROM pieces.all_events WHERE type = 'window.opened' AND {_KNOWN}) o
    LEFT JOIN later l USING ("window")"""
# After a crash a record of a request may be there twice, with the same `entry`: aggregates take one of them.
_REQUESTS: Final = f"""
    CREATE VIEW requests AS
    WITH later AS (
      SELECT request,
        arg_max(record ->> 'state', seq) FILTER (type = 'request.ended') AS state,
        max(time) FILTER (type = 'request.ended') AS ended_at,
        any_value("window") FILTER (type = 'request.ended' AND "window" IS NOT NULL) AS "window",
        list(DISTINCT concat(record ->> 'verdict', ' by ', record -> 'by' ->> 'display'))
          FILTER (type = 'request.verdict') AS verdicts,
        min(time) FILTER (type = 'request.ended' AND record ->> 'state' IN ('approved', 'refused')) AS decided_at
      FROM pieces.all_events WHERE request IS NOT NULL AND {_KNOWN} GROUP BY request)
    SELECT DISTINCT ON (o.request) o.journal, o.request, o.time AS made_at, coalesce(l.state, 'pending') AS state,
      l.decided_at, l.ended_at, o.identity, o.oid, o.display, o.policy, o.connection, o.reason,
      o.record ->> 'ticket' AS ticket, (o.record ->> 'ttl_seconds')::DOUBLE AS ttl_seconds,
      (o.record ->> 'approvals')::INTEGER AS approvals, l.verdicts, l."window"
    FROM (SELECT * FROM pieces.all_events WHERE type = 'request.made' AND {_KNOWN}) o
    LEFT JOIN later l USING (request)"""
_LOGINS: Final = f"""
    CREATE VIEW logins AS
    SELECT journal, seq, time, CASE type WHEN 'session.opened' THEN 'accepted' ELSE 'refused' END AS outcome,
      identity, oid, display, coalesce(connection, record ->> 'startup_database') AS connection,
      coalesce(policy, record ->> 'startup_user') AS policy, source, record ->> 'reference' AS reference,
      record ->> 'sqlstate' AS sqlstate, CASE type WHEN 'login.refused' THEN reason END AS reason, session,
      coalesce((record ->> 'count')::BIGINT, 1) AS count
    FROM pieces.all_events WHERE type IN ('session.opened', 'login.refused') AND {_KNOWN}"""
_RECORDS: Final = """
    CREATE VIEW records AS
    SELECT journal, seq, time, type, identity, "window", session, execution, v, record FROM (
      SELECT * FROM pieces.all_lines UNION ALL BY NAME SELECT * FROM pieces.all_events)"""


def create_views(connection: DuckDBPyConnection, files: Mapping[str, Sequence[str]]) -> None:
    """Create the views over the tables of the schema `pieces` and, for each piece, the Parquet `files`."""
    for piece in PIECES:
        query = f"SELECT * FROM pieces.{piece}"
        if paths := files.get(piece):
            query += f" UNION ALL BY NAME SELECT * FROM read_parquet([{', '.join(map(literal, paths))}])"
        connection.execute(f"CREATE VIEW pieces.all_{piece} AS {query}")
    for view in (_JOINED, _OPENED, _OWN, _EXECUTIONS, _SESSIONS, _WINDOWS, _REQUESTS, _LOGINS, _RECORDS):
        connection.execute(view)
