"""Spans of sessions and executions, made from the journal's records.

Decides which of them have a span. A session is sampled by its id; its executions are, too. An execution whose
statement names a span of the agent follows the agent's own decision. An execution is held from its record to its
outcome; a session is held while it is open. Both are bounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode

from pgjit.audit.telemetry.cursor import Facts
from pgjit.audit.telemetry.database_attributes import query_attributes, server_attributes
from pgjit.audit.telemetry.log_records import nanoseconds
from pgjit.audit.telemetry.trace_context import agents_span, execution_span_id, is_sampled, span_of_session

__all__ = ["SpanMaker"]

T = TypeVar("T")
_MOST_HELD = 10_000
_STARTED = "started"


class _Running(NamedTuple):
    started: int
    parent: SpanContext
    links: tuple[Link, ...]
    attributes: dict[str, str | int]


class SpanMaker:
    """`take` each record in order. `sessions` has what is known of those that are open; it is kept by the cursor."""

    def __init__(
        self, resource: Resource, scope: InstrumentationScope, ratio: float, sessions: dict[str, Facts]
    ) -> None:
        self.sessions = sessions
        self._resource = resource
        self._scope = scope
        self._ratio = ratio
        self._running: dict[str, _Running] = {}

    def take(self, record: Mapping[str, Any]) -> ReadableSpan | None:
        """The span that this record ends, if it is sampled."""
        match record:
            case {"type": "session.opened", "session": str(session)}:
                self._open(session, record)
            case {"type": "session.ended", "session": str(session)}:
                return self._end_session(session, record)
            case {"type": "execution", "execution": str(execution)}:
                self._begin(execution, record)
            case {"type": "outcome", "execution": str(execution)}:
                return self._end_execution(execution, record)
        return None

    def _sampled(self, session: str) -> bool:
        return is_sampled(span_of_session(session, sampled=True).trace_id, self._ratio)

    def _open(self, session: str, record: Mapping[str, Any]) -> None:
        facts: Facts = {**server_attributes(record), _STARTED: nanoseconds(record.get("time")) or 0}
        _hold(self.sessions, session, facts)

    def _end_session(self, session: str, record: Mapping[str, Any]) -> ReadableSpan | None:
        facts = self.sessions.pop(session, None)
        ended = nanoseconds(record.get("time"))
        if facts is None or ended is None or not self._sampled(session):
            return None
        attributes = {name: value for name, value in facts.items() if name != _STARTED}
        attributes |= {**_who(record), "pgjit.session.id": session, "pgjit.session.end_reason": str(record["reason"])}
        name = f"session {attributes.get('pgjit.connection', '')}".rstrip()
        return self._span(
            name,
            span_of_session(session, sampled=True),
            None,
            int(facts[_STARTED]),
            ended,
            attributes,
            SpanKind.SERVER,
        )

    def _begin(self, execution: str, record: Mapping[str, Any]) -> None:
        session = execution.partition("/")[0]
        parent = span_of_session(session, sampled=True)
        agents = agents_span(str(record.get("statement", "")))
        sampled = agents.trace_flags.sampled if agents is not None else is_sampled(parent.trace_id, self._ratio)
        started = nanoseconds(record.get("time"))
        if not sampled or started is None:
            return
        links = () if agents is None else (Link(parent),)
        attributes = {**query_attributes(record), **_who(record), "pgjit.execution.id": execution}
        if record.get("decision") == "deny":
            attributes["pgjit.refused_by"] = _rules(record)
        attributes["pgjit.decision"] = str(record.get("decision"))
        _hold(self._running, execution, _Running(started, agents or parent, links, attributes))

    def _end_execution(self, execution: str, record: Mapping[str, Any]) -> ReadableSpan | None:
        running = self._running.pop(execution, None)
        if running is None:
            return None
        session = self.sessions.get(execution.partition("/")[0], {})
        attributes = {name: value for name, value in session.items() if name != _STARTED} | running.attributes
        attributes |= {
            "pgjit.ended": str(record.get("ended")),
            "db.response.returned_rows": int(record.get("rows", 0)),
        }
        status = Status(StatusCode.UNSET)
        if isinstance(sqlstate := record.get("sqlstate"), str):
            attributes |= {"db.response.status_code": sqlstate, "error.type": sqlstate}
            status = Status(StatusCode.ERROR)  # without the message, which may hold values
        parent = running.parent
        context = SpanContext(
            parent.trace_id,
            int.from_bytes(execution_span_id(execution)),
            is_remote=False,
            trace_flags=parent.trace_flags,
        )
        ended = running.started + 1000 * int(record.get("duration_us", 0))
        name = str(attributes["db.query.summary"])
        return self._span(
            name, context, parent, running.started, ended, attributes, SpanKind.CLIENT, status, running.links
        )

    def _span(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        started: int,
        ended: int,
        attributes: dict[str, str | int],
        kind: SpanKind,
        status: Status | None = None,
        links: tuple[Link, ...] = (),
    ) -> ReadableSpan:
        return ReadableSpan(
            name, context, parent, self._resource, attributes, links=links, kind=kind,
            status=status or Status(StatusCode.UNSET), start_time=started, end_time=max(started, ended),
            instrumentation_scope=self._scope,
        )  # fmt: skip


def _who(record: Mapping[str, Any]) -> dict[str, str | int]:
    attributes: dict[str, str | int] = {}
    for member, name in (("identity", "user.id"), ("policy", "pgjit.policy"), ("window", "pgjit.window.id")):
        if isinstance(value := record.get(member), str):
            attributes[name] = value
    return attributes


def _rules(record: Mapping[str, Any]) -> str:
    rules = (str(found.get("rule")) for found in record.get("violations", ()) if isinstance(found, dict))
    return ", ".join(dict.fromkeys(rules))


def _hold(held: dict[str, T], key: str, value: T) -> None:
    """The oldest give way: what never ends must not fill the memory."""
    if len(held) >= _MOST_HELD:
        del held[next(iter(held))]
    held[key] = value
