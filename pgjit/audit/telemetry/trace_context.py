"""The ids of traces and spans, and the trace of an agent that a statement names in a comment. Pure.

Decides that ids follow from the ids in the journal: a span that is sent twice, or after a restart, is the same span.
A comment in the form of sqlcommenter (`/*traceparent='00-…-…-01'*/`) joins an execution to the agent's own trace.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

from opentelemetry.trace import SpanContext, TraceFlags

__all__ = ["agents_span", "execution_span_id", "is_sampled", "session_trace", "span_of_session"]

_MEMBER = "traceparent='"
_VALUE = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})'")


def agents_span(statement: str) -> SpanContext | None:
    """The span of the agent's own that a comment of the statement names."""
    place = statement.rfind(_MEMBER)
    if place < 0 or statement.rfind("/*", 0, place) <= statement.rfind("*/", 0, place):
        return None  # not inside a comment
    value = _VALUE.match(statement, place + len(_MEMBER))
    if value is None:
        return None
    trace_id, span_id, flags = (int(each, 16) for each in value.groups())
    context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags & 1))
    return context if context.is_valid else None


@lru_cache(1024)
def session_trace(session: str) -> tuple[bytes, bytes]:
    """The trace of a session, and the id of its own span there."""
    digest = hashlib.blake2b(session.encode(), digest_size=24, person=b"pgjit session").digest()
    return digest[:16], digest[16:]


def span_of_session(session: str, *, sampled: bool) -> SpanContext:
    """The span of a session, in a trace of its own."""
    trace_id, span_id = map(int.from_bytes, session_trace(session))
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=flags)


def execution_span_id(execution: str) -> bytes:
    return hashlib.blake2b(execution.encode(), digest_size=8, person=b"pgjit execution").digest()


def is_sampled(trace_id: int, ratio: float) -> bool:
    """As OpenTelemetry's TraceIdRatioBased: the same trace is sampled everywhere, or nowhere."""
    return (trace_id & 0xFFFFFFFFFFFFFFFF) < round(ratio * (1 << 64))
