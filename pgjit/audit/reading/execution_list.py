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

__all__ = ["MOST", "ORDERS", "ExecutionFilter", "Order", "list_executions"]

MOST: Final = 1_000_000
Order = Literal["time", "duration", "rows", "bytes"]
ORDERS: Final[dict[str, str]] = {
    "time": "time DESC, seq DESC",
    "duration": "duration_us DESC, time DESC",
    "rows": "rows DESC NULLS LAST, time DESC",
    "bytes": "bytes DESC, time DESC",
}
_OBJECTS: Final = "list_concat(coalesce(reads, []), coalesce(writes, []), coalesce(calls, []))"
_NAMED: Final = "name = $touches OR ends_with(name, concat('.', $touches))"
_KEYS: Final = "identity FROM pieces.all_events"
_QUALIFIED: Final = (
    "(list_contains(reads, $touches) OR list_contains(writes, $touches) OR list_contains(calls, $touches))"
)
# A condition for each filter that is set. Values are bound.
_CONDITIONS: Final[dict[str, str]] = {
    "identity": f"identity IN (SELECT {_KEYS} WHERE lower(display) = lower($identity) UNION ALL SELECT $identity "
    f"UNION ALL SELECT {_KEYS} WHERE oid = $identity)",
    "policy": "policy = $policy",
    "group": 'session IN (SELECT session FROM pieces.opened WHERE "group" = $group)',
    "connection": "session IN (SELECT session FROM pieces.opened WHERE connection = $connection)",
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
_ENDS: Final = (
    'JOIN (SELECT "window", least(ends_at, coalesce(ended_at, ends_at)) AS over_at FROM windows) USING ("window")'
)
_LATE: Final = "decision = 'allow' AND time > over_at"


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
        """The condition on `pieces.own`, and the values that are bound in it."""
        conditions, values = ["TRUE"], dict[str, object]()
        for name, condition in _CONDITIONS.items():
            value = getattr(self, name)
            if value is None:
                continue
            conditions.append(_QUALIFIED if name == "touches" and "." in value else condition)
            if isinstance(value, tuple):
                values |= {"before_time": _naive(value[0]), "before_seq": value[1]}
            else:
                values[name] = _naive(value) if isinstance(value, datetime) else value
        if not self.catalog:
            conditions.append("about IS DISTINCT FROM 'catalog'")
        if self.after_end:
            conditions.append(_LATE)
        return " AND ".join(conditions), values


def list_executions(reader: Reader, chosen: ExecutionFilter, *, order: Order = "time", limit: int = MOST) -> Rows:
    """Raises duckdb.Error."""
    where, values = chosen.where()
    source = f"pieces.own {_ENDS}" if chosen.after_end else "pieces.own"
    # Which ones first, then all their columns: most statements are not even read.
    keys = f"SELECT journal, seq, time FROM {source} WHERE {where} ORDER BY {ORDERS[order]} LIMIT {limit + 1}"
    found = reader.query(keys, values, most=limit)
    if not found.rows:
        return reader.query("SELECT * FROM executions LIMIT 0")
    times = [time for _, _, time in found.rows]
    whole = reader.query(
        "SELECT * FROM executions WHERE time BETWEEN $first AND $last AND list_contains($seqs, seq) "
        f"AND list_contains($names, concat(journal, ':', seq)) ORDER BY {ORDERS[order]}",
        {
            "first": min(times),
            "last": max(times),
            "seqs": [seq for _, seq, _ in found.rows],
            "names": [f"{journal}:{seq}" for journal, seq, _ in found.rows],
        },
    )
    return whole._replace(more=found.more)


def _naive(moment: datetime) -> datetime:
    """The journal's times are columns without a zone, in UTC."""
    return moment.astimezone(UTC).replace(tzinfo=None)
