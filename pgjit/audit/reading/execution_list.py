"""The list of executions: which of them, in which order, how many.

Decides what each filter means: an identity is its object id, its `tid/oid` or its display name; a relation or
function is its qualified name or the last part of it; an SQLSTATE is the whole code or its class. What drivers ask of
the catalogs by themselves is left out unless it is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from pgjit.audit.reading.reader import Reader, Rows

__all__ = ["ORDERS", "ExecutionFilter", "Order", "list_executions"]

Order = Literal["time", "duration", "rows", "bytes"]
ORDERS: Final[dict[str, str]] = {
    "time": "time DESC, seq DESC",
    "duration": "duration_us DESC, time DESC",
    "rows": "rows DESC NULLS LAST, time DESC",
    "bytes": "bytes DESC, time DESC",
}
_OBJECTS: Final = "list_concat(coalesce(reads, []), coalesce(writes, []), coalesce(calls, []))"
_NAMED: Final = "name = $touches OR ends_with(name, concat('.', $touches))"
# A condition for each filter that is set. Values are bound.
_CONDITIONS: Final[dict[str, str]] = {
    "identity": "(oid = $identity OR identity = $identity OR lower(display) = lower($identity))",
    "policy": "policy = $policy",
    "group": '"group" = $group',
    "connection": "connection = $connection",
    "window": '"window" = $window',
    "session": "session = $session",
    "touches": f"len(list_filter({_OBJECTS}, lambda name: {_NAMED})) > 0",
    "decision": "decision = $decision",
    "kind": "kind = $kind",
    "rule": "list_contains(rules, $rule)",
    "ended": "ended = $ended",
    "sqlstate": "starts_with(sqlstate, upper($sqlstate))",
    "since": "time >= $since",
    "until": "time < $until",
    "text": "contains(lower(statement), lower($text))",
    "before": "(time, seq) < ($before_time, $before_seq)",
}
_LATE: Final = (
    'decision = \'allow\' AND EXISTS (SELECT 1 FROM windows w WHERE w."window" = executions."window" '
    "AND executions.time > least(w.ends_at, coalesce(w.ended_at, w.ends_at)))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionFilter:
    identity: str | None = None
    policy: str | None = None
    group: str | None = None
    connection: str | None = None
    window: str | None = None
    session: str | None = None
    touches: str | None = None
    decision: str | None = None
    kind: str | None = None
    rule: str | None = None
    ended: str | None = None
    sqlstate: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None
    catalog: bool = False
    after_end: bool = False
    before: tuple[datetime, int] | None = None  # those after this one in a list of the newest first

    def where(self) -> tuple[str, dict[str, object]]:
        """The condition on `executions`, and the values that are bound in it."""
        conditions, values = ["TRUE"], dict[str, object]()
        for name, condition in _CONDITIONS.items():
            value = getattr(self, name)
            if value is None:
                continue
            conditions.append(condition)
            if isinstance(value, tuple):
                values |= {"before_time": _naive(value[0]), "before_seq": value[1]}
            else:
                values[name] = _naive(value) if isinstance(value, datetime) else value
        if not self.catalog:
            conditions.append("about IS DISTINCT FROM 'catalog'")
        if self.after_end:
            conditions.append(_LATE)
        return " AND ".join(conditions), values


def list_executions(
    reader: Reader, chosen: ExecutionFilter, *, order: Order = "time", limit: int | None = None
) -> Rows:
    """Raises duckdb.Error."""
    where, values = chosen.where()
    sql = f"SELECT * FROM executions WHERE {where} ORDER BY {ORDERS[order]}"
    if limit is not None:
        sql += f" LIMIT {int(limit) + 1}"
    return reader.query(sql, values, most=limit)


def _naive(moment: datetime) -> datetime:
    """The journal's times are columns without a zone, in UTC."""
    return moment.astimezone(UTC).replace(tzinfo=None)
