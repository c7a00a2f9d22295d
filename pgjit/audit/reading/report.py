"""The report: what an owner of data or an auditor asks of a period, as one table for each question.

Decides the questions, and what each table has. Does not know how tables are printed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pgjit.audit.reading.reader import Reader, Rows
from pgjit.audit.reading.values import as_documents, time_of

__all__ = ["PARTS", "AuditReport", "ReportPart", "make_report"]

_MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class ReportPart:
    """One question. `sql` has the parameters `since` and `until`, and at most 1000 rows are taken."""

    title: str
    note: str
    sql: str


_PERIOD: Final = "{} >= coalesce($since, '-infinity'::TIMESTAMP) AND {} < coalesce($until, 'infinity'::TIMESTAMP)"
_EXECUTED: Final = _PERIOD.format("time", "time")
_OPENED: Final = _PERIOD.format("opened_at", "opened_at")
_STOPPED: Final = "ended IN ('limited', 'cut')"
_RAN: Final = "ended NOT IN ('failed', 'limited', 'cut')"
_USED: Final = (
    "SELECT \"window\", count(*) AS executions FROM executions WHERE about IS DISTINCT FROM 'catalog' GROUP BY 1"
)

PARTS: Final[dict[str, ReportPart]] = {
    "activity": ReportPart(
        "Executions",
        "For each day: allowed, refused by a rule, failed on the server, stopped by a limit or the session's end.",
        f"""SELECT time::DATE AS day, count(*) FILTER (decision = 'allow' AND {_RAN}) AS allowed,
              count(*) FILTER (decision = 'deny') AS refused, count(*) FILTER (ended = 'failed') AS failed,
              count(*) FILTER ({_STOPPED}) AS stopped, coalesce(sum(rows), 0)::BIGINT AS rows
            FROM executions WHERE {_EXECUTED} GROUP BY 1 ORDER BY 1 DESC""",
    ),
    "hours": ReportPart(
        "Executions by the hour",
        "The same for each hour with any, of the last two days in which something ran.",
        f"""SELECT date_trunc('hour', time)::TIMESTAMP AS hour,
              count(*) FILTER (decision = 'allow' AND {_RAN}) AS allowed,
              count(*) FILTER (decision = 'deny') AS refused, count(*) FILTER (ended = 'failed') AS failed,
              count(*) FILTER ({_STOPPED}) AS stopped, coalesce(sum(rows), 0)::BIGINT AS rows
            FROM executions WHERE {_EXECUTED}
            AND time >= (SELECT max(time) - INTERVAL 48 HOUR FROM executions WHERE {_EXECUTED})
            GROUP BY 1 ORDER BY 1 DESC""",
    ),
    "access": ReportPart(
        "Who had access, and when",
        "Each window: how it was granted, how long it was open, and how it ended.",
        f"""SELECT display AS who, w.policy, w.connection, w.opened_at, w.ended_at, w.end_reason,
              coalesce(array_to_string(r.verdicts, ', '), CASE WHEN w.break_glass THEN 'break-glass' ELSE '' END)
                AS approved, coalesce(u.executions, 0) AS executions, w."window"
            FROM windows w LEFT JOIN (SELECT request, verdicts FROM requests) r USING (request)
            LEFT JOIN ({_USED}) u USING ("window") WHERE {_OPENED} ORDER BY w.opened_at DESC""",
    ),
    "denials": ReportPart(
        "What was refused, and why",
        "Statements by identity and rule, and logins by reason.",
        f"""SELECT * FROM (
              SELECT 'statement' AS what, coalesce(display, oid) AS who, policy, coalesce(rules[1], '-') AS reason,
                count(*) AS times, max(time) AS last, arg_max(left(statement, 200), time) AS example
              FROM executions WHERE decision = 'deny' AND {_EXECUTED} GROUP BY 1, 2, 3, 4
              UNION ALL
              SELECT 'login', coalesce(display, oid, source), policy, reference, sum(count)::BIGINT, max(time),
                arg_max(reason, time)
              FROM logins WHERE outcome = 'refused' AND {_EXECUTED} GROUP BY 1, 2, 3, 4)
            ORDER BY times DESC, last DESC""",
    ),
    "unused": ReportPart(
        "Grants that nobody used",
        "Windows in which no statement ran, and requests that were approved and not used.",
        f"""SELECT * FROM (
              SELECT 'window' AS what, w."window" AS id, w.display AS who, w.policy, w.connection,
                w.opened_at AS granted_at, w.reason
              FROM windows w LEFT JOIN ({_USED}) u USING ("window") WHERE u.executions IS NULL AND {_OPENED}
              UNION ALL
              SELECT 'request', request, display, policy, connection, made_at, reason FROM requests
              WHERE decided_at IS NOT NULL AND state NOT IN ('used', 'refused')
              AND {_PERIOD.format("made_at", "made_at")}) ORDER BY granted_at DESC""",
    ),
    "kills": ReportPart(
        "The slowest ends of sessions",
        "Sessions whose backend was stopped: how long it took until it was proven to be gone.",
        f"""SELECT session, coalesce(display, oid) AS who, policy, connection, ended_at, reason, took_ms, gone,
              proof ->> 'by' AS proven_by
            FROM sessions WHERE gone IS NOT NULL AND {_PERIOD.format("ended_at", "ended_at")}
            ORDER BY gone, took_ms DESC""",
    ),
    "rows": ReportPart(
        "Rows and bytes for each identity",
        "What the servers sent to clients.",
        f"""SELECT coalesce(display, oid) AS who, policy, count(*) AS executions,
              count(*) FILTER (decision = 'deny') AS refused, coalesce(sum(rows), 0)::BIGINT AS rows,
              sum(bytes)::BIGINT AS bytes, max(rows) AS largest, max(duration_us) // 1000 AS slowest_ms
            FROM executions WHERE {_EXECUTED} GROUP BY 1, 2 ORDER BY rows DESC""",
    ),
    "late": ReportPart(
        "Executions after the end of their window",
        "There must be none.",
        f"""SELECT e.execution, e.time, w.ends_at, w.ended_at, coalesce(e.display, e.oid) AS who, e.policy,
              e.statement
            FROM executions e JOIN windows w USING ("window")
            WHERE e.decision = 'allow' AND e.time > least(w.ends_at, coalesce(w.ended_at, w.ends_at))
            AND {_PERIOD.format("e.time", "e.time")} ORDER BY e.time DESC""",
    ),
    "population": ReportPart(
        "Population and completeness",
        "For each journal: its records, and whether the numbers have a gap. A sample is drawn from these counts.",
        f"""SELECT journal, count(*) AS records, min(seq) AS first, max(seq) AS last,
              max(seq) - min(seq) + 1 - count(DISTINCT seq) AS missing, count(*) - count(DISTINCT seq) AS repeated,
              count(*) FILTER (type = 'execution') AS executions, count(*) FILTER (type = 'outcome') AS outcomes,
              count(*) FILTER (type = 'session.opened') AS sessions,
              count(*) FILTER (type = 'window.opened') AS windows,
              count(*) FILTER (type IN ('journal.gap', 'journal.torn')) AS interruptions,
              min(time) AS since, max(time) AS until
            FROM records WHERE {_EXECUTED} GROUP BY 1 ORDER BY 1""",
    ),
}


@dataclass(frozen=True, slots=True)
class AuditReport:
    """`notices`: why it may lack something."""

    made_at: datetime
    since: datetime | None
    until: datetime | None
    parts: dict[str, Rows]
    notices: tuple[str, ...]

    def document(self) -> dict[str, object]:
        period = {"since": self.since, "until": self.until}
        return {
            "made_at": time_of(self.made_at),
            **{name: time_of(moment) for name, moment in period.items() if moment is not None},
            "complete": not self.notices,
            "notices": list(self.notices),
            "parts": {
                name: {
                    "title": PARTS[name].title,
                    "note": PARTS[name].note,
                    "columns": list(rows.columns),
                    "items": as_documents(rows),
                    "more": rows.more,
                }
                for name, rows in self.parts.items()
            },
        }


def make_report(
    reader: Reader, names: Sequence[str], since: datetime | None, until: datetime | None, now: datetime
) -> AuditReport:
    """Raises duckdb.Error."""
    values = {"since": _naive(since), "until": _naive(until)}
    parts = {name: reader.query(PARTS[name].sql, values, most=_MOST) for name in names}
    return AuditReport(now, since, until, parts, tuple(reader.notices))


def _naive(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None)
