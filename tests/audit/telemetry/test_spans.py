"""Spans, by OpenTelemetry's conventions for databases, in the agent's own trace where the statement names it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanKind, StatusCode

from pgjit.audit.telemetry.cursor import Facts
from pgjit.audit.telemetry.spans import SpanMaker
from tests.audit.telemetry.journal_lines import SESSION, WHO, execution, opened, outcome

_TRACE, _SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
_ENDED = {"type": "session.ended", **WHO, "session": SESSION, "reason": "client"}


def spans(
    records: Sequence[dict[str, Any]], ratio: float = 1.0, sessions: dict[str, Facts] | None = None
) -> list[ReadableSpan]:
    maker = SpanMaker(Resource({}), InstrumentationScope("pgjit"), ratio, {} if sessions is None else sessions)
    timed = ({"time": f"2026-11-29T10:00:00.{number:06}Z", **record} for number, record in enumerate(records))
    return [span for record in timed if (span := maker.take(record)) is not None]


def commented(flags: str) -> str:
    return f"SELECT 1 /*action='x',traceparent='00-{_TRACE}-{_SPAN}-{flags}'*/"


def test_an_execution_is_a_span_in_the_trace_of_its_session() -> None:
    query, session = spans([opened(), execution(1), outcome(1), _ENDED])
    assert (query.name, query.kind) == ("SELECT public.orders", SpanKind.CLIENT)
    assert query.attributes == {
        "db.system.name": "postgresql", "db.namespace": "shop", "pgjit.connection": "prod-replica",
        "server.address": "db.internal",
        "server.port": 5433, "client.address": "10.0.0.7", "client.port": 51000, "db.operation.name": "SELECT",
        "db.query.summary": "SELECT public.orders", "db.query.text": "SELECT total FROM orders WHERE id = $1",
        "user.id": "tenant/agent", "pgjit.policy": "reader", "pgjit.window.id": WHO["window"],
        "pgjit.execution.id": f"{SESSION}/1", "pgjit.decision": "allow", "pgjit.ended": "completed",
        "db.response.returned_rows": 1,
    }  # fmt: skip
    assert (query.end_time or 0) - (query.start_time or 0) == 1_500_000
    assert query.status.status_code is StatusCode.UNSET
    assert query.parent == session.context
    assert (session.name, session.kind, session.parent) == ("session prod-replica", SpanKind.SERVER, None)
    assert (session.attributes or {})["pgjit.session.end_reason"] == "client"
    assert (session.end_time or 0) - (session.start_time or 0) == 3000


def test_an_error_has_its_sqlstate_and_not_its_message() -> None:
    (query,) = spans([execution(1), outcome(1, ended="failed", sqlstate="23505", message="Key (email)=(a@b.c)")])
    assert (query.attributes or {})["db.response.status_code"] == (query.attributes or {})["error.type"] == "23505"
    assert query.status.status_code is StatusCode.ERROR
    assert "a@b.c" not in query.to_json()


def test_a_refused_statement_names_the_rules() -> None:
    (query,) = spans(
        [
            execution(1, decision="deny", violations=[{"rule": "where-required"}, {"rule": "ddl"}, {"rule": "ddl"}]),
            outcome(1, ended="refused", sqlstate="42501"),
        ]
    )
    assert (query.attributes or {})["pgjit.refused_by"] == "where-required, ddl"


def test_a_statement_that_names_the_agents_span_is_in_the_agents_trace() -> None:
    query, session = spans([opened(), execution(1, commented("01")), outcome(1), _ENDED])
    assert query.parent is not None
    assert f"{query.parent.trace_id:032x}" == f"{query.context.trace_id:032x}" == _TRACE
    assert f"{query.parent.span_id:016x}" == _SPAN
    assert [link.context for link in query.links] == [session.context]


def test_sampling_follows_the_session_or_the_agents_own_decision() -> None:
    assert spans([opened(), execution(1), outcome(1), _ENDED], ratio=0) == []
    assert len(spans([execution(1, commented("01")), outcome(1)], ratio=0)) == 1
    assert spans([execution(1, commented("00")), outcome(1)], ratio=1) == []


@pytest.mark.parametrize(
    "statement",
    [
        f"SELECT 'traceparent=''00-{_TRACE}-{_SPAN}-01'''",
        f"SELECT 1 /* x */ -- traceparent='00-{_TRACE}-{_SPAN}-01'",
        f"SELECT 1 /*traceparent='00-{'0' * 32}-{_SPAN}-01'*/",
        f"SELECT 1 /*traceparent='99-{_TRACE}-{_SPAN}-01'*/",
        f"SELECT 1 /*traceparent='00-{_TRACE.upper()}-{_SPAN}-01'*/",
    ],
)
def test_what_is_not_a_comment_of_sqlcommenter_is_no_trace(statement: str) -> None:
    assert spans([execution(1, statement), outcome(1)], ratio=0) == []


def test_what_is_known_of_open_sessions_outlives_the_process() -> None:
    sessions: dict[str, Facts] = {}
    assert spans([opened()], sessions=sessions) == []
    kept = orjson.loads(orjson.dumps(sessions))
    (query, _) = spans([execution(1), outcome(1), _ENDED], sessions=kept)
    assert (query.attributes or {})["server.address"] == "db.internal"
    assert kept == {}


@pytest.mark.parametrize(
    "members",
    [
        {"kind": "alter-role", "normalised": "ALTER ROLE x PASSWORD 'hunter2'"},
        {"kind": "set", "normalised": "SET x = 'hunter2'"},
        {"fingerprint": None, "statement": "SELECT 'hunter2'", "normalised": None},
        {"kind": None, "statement": "SELEC 'hunter2'", "normalised": None, "fingerprint": None},
    ],
)
def test_a_text_that_may_hold_values_is_left_out(members: dict[str, Any]) -> None:
    record = {name: value for name, value in {**execution(1), **members}.items() if value is not None}
    (query,) = spans([record, outcome(1)])
    assert "hunter2" not in query.to_json()


def test_comments_around_the_text_are_left_out_and_a_long_summary_is_cut() -> None:
    text = "/* who */ SELECT a /* b */ FROM t WHERE i = $1 /*c*/ /*traceparent='x'*/ ;"
    reads = [f"public.table_{number}" for number in range(50)]
    (query,) = spans([execution(1, normalised=text, reads=reads), outcome(1)])
    assert (query.attributes or {})["db.query.text"] == "SELECT a /* b */ FROM t WHERE i = $1"
    assert len(query.name) <= 255
    assert query.name.endswith("public.table_15")


def test_executions_that_never_end_do_not_fill_the_memory() -> None:
    maker = SpanMaker(Resource({}), InstrumentationScope("pgjit"), 1.0, {})
    for number in range(10_050):
        maker.take({"time": "2026-11-29T10:00:00Z", **execution(number)})
    assert len(maker._running) == 10_000
