from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgjit.audit.event import Outcome, Parameters, ServiceStopped, SessionOpened
from pgjit.audit.record import render
from pgjit.audit.statement_record import REFUSED_TEXT
from pgjit.random_id import random_id
from pgjit.sql.statement import StatementSummary
from tests.audit.audit_events import AT, CONTEXT, EVENTS, WINDOW, execution
from tests.audit.keeping_members import KEEPING_MEMBERS

TIME = "2026-11-24T09:30:00.000042Z"
SESSION = {
    "identity": {
        "tid": "11111111-1111-4111-8111-111111111111",
        "oid": "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa",
        "app_id": "55555555-5555-4555-8555-555555555555",
        "kind": "agent",
        "display": "Schema “checks”",
        "token_id": "uti-1",
        "blueprint_id": "66666666-6666-4666-8666-666666666666",
        "on_behalf_of": None,
        "credential": "certificate",
        "acrs": ["c1", "c2"],
    },
    "policy": "schema-checks",
    "policy_version": "abc",
    "window": {"id": "w_1", "opened_at": TIME, "ends_at": "2026-11-24T10:30:00.000042Z"},
    "session": "s_1",
    "connection": "shop",
    "backend_pid": 4242,
    "source": "10.0.0.7:51000",
}
SERVER = {
    "system": "7713",
    "started_at": TIME,
    "timeline": "00000001",
    "standby": False,
    "endpoint": "10.0.0.1:5432",
}
BACKEND = {"pid": 4242, "started_at": TIME, "server": SERVER}
PROOF = {
    "cancel_sent": True,
    "terminate_sent": True,
    "gone": True,
    "by": "look",
    "server": SERVER,
    "checked_at": TIME,
    "took_ms": 12,
    "error": None,
}
WINDOW_OF = {
    "identity": {
        "tid": "11111111-1111-4111-8111-111111111111",
        "oid": "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa",
    },
    "policy": "schema-checks",
    "window": SESSION["window"],
    "connection": "shop",
}
WHO = "11111111-1111-4111-8111-111111111111/aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
EXPECTED: dict[str, dict[str, object]] = {
    "execution": {
        "identity": WHO,
        "policy": "schema-checks",
        "window": "w_1",
        "execution": "s_1/1",
        "decision": "deny",
        "kind": "delete",
        "statement": "DELETE FROM orders WHERE id = 7",
        "normalised": "DELETE FROM orders WHERE id = $1",
        "fingerprint": "50fde20626009aba",
        "writes": ["public.orders"],
        "violations": [
            {
                "rule": "statement-kind",
                "message": "no `delete` here",
                "position": 1,
                "sqlstate": "42501",
                "statement": 0,
                "objects": [{"object": "kind", "name": "delete"}],
                "entry": "reader.yaml:12:7",
            },
            {
                "rule": "refused-with-message",
                "message": "statement 2 of its message is refused",
                "sqlstate": "42501",
                "statement": 0,
                "sibling": {"statement": 1, "rule": "statement-kind"},
            },
        ],
        "prepared_as": "p1",
    },
    "outcome": {
        "window": "w_1",
        "execution": "s_1/1",
        "ended": "completed",
        "command": "SELECT 1",
        "rows": 1,
        "bytes": 37,
        "duration_us": 1250,
    },
    "session.opened": {
        **SESSION,
        "application_name": "psql",
        "tls": "TLSv1.3 TLS_AES_256_GCM_SHA384",
        "startup_user": "jit-schema-checks",
        "server_version": "18.1",
        "membership": {
            "group": "99999999-9999-4999-8999-999999999999",
            "role": None,
            "source": "graph",
            "checked_at": TIME,
        },
        "backend": BACKEND,
        "server": "db.example:5432",
        "database": "shop",
        "node": "pgjit-1",
        "worker": 0,
    },
    "session.ended": {
        "identity": WHO,
        "policy": "schema-checks",
        "window": "w_1",
        "session": "s_1",
        "reason": "ttl",
        "detail": None,
        "executions": 7,
        "rows": 12,
        "bytes": 480,
        "received": 0,
        "proof": PROOF,
    },
    "window.opened": {
        **{k: v for k, v in SESSION.items() if k not in ("session", "backend_pid", "window")},
        "window": {
            "id": "w_1",
            "opened_at": TIME,
            "ends_at": "2026-11-24T10:30:00.000042Z",
            "retry_at": "2026-11-24T11:30:00.000042Z",
        },
        "reason": "schema diff, week 47",
    },
    "window.ending": {**WINDOW_OF, "reason": "ttl", "sessions": 1},
    "backend.remains": {
        **WINDOW_OF,
        "session": "s_1",
        "backend": BACKEND,
        "proof": {
            **PROOF,
            "terminate_sent": False,
            "gone": False,
            "by": None,
            "server": None,
            "took_ms": 3000,
            "error": "no answer",
        },
    },
    "backend.gone": {**WINDOW_OF, "session": "s_1", "backend": BACKEND, "proof": PROOF},
    "window.ended": {**WINDOW_OF, "reason": "ttl", "sessions": 2},
    "login.refused": {
        "identity": None,
        "source": "10.0.0.7:51000",
        "reference": "token-refused",
        "sqlstate": "28P01",
        "reason": "expired",
        "startup_user": "jit-schema-checks",
        "startup_database": "shop",
        "count": 1,
    },
    "service.started": {
        "version": "0.1.0",
        "config_hash": "c0ffee",
        "policies": [{"name": "schema-checks", "version": "abc"}],
    },
    "service.stopped": {"reason": "SIGTERM"},
    "journal.gap": {"reason": "missing", "expected": 9, "expected_sha256": "ab" * 32, "found": 4},
    "policy.differs": {
        "policy": "reader",
        "policy_version": "v1",
        "node": "db-proxy-2",
        "version_there": "v2",
    },
    "config.reloaded": {
        "trigger": "api",
        "by": {"tid": "t", "oid": "admin", "display": "An Admin", "via": "api"},
        "config_hash": "ab" * 32,
        "policies": [{"name": "reader", "version": "v2"}],
        "changed": ["policy reader", "tls"],
        "restart": ["listen.port"],
    },
    "config.refused": {
        "trigger": "watch",
        "by": None,
        "faults": ["p.yaml:3:1: `ttl` is missing"],
        "count": 1,
    },
    **KEEPING_MEMBERS,
    "store.restored": {"windows": ["w_1", "w_2"]},
    "api.called": {
        "identity": SESSION["identity"],
        "role": "admin",
        "method": "POST",
        "path": "/api/v1/revoke",
        "target": "policy reading",
        "source": "10.0.0.9:40000",
    },
}


@pytest.mark.parametrize("type_", EVENTS)
def test_every_event_is_written_whole(type_: str) -> None:
    line = render(EVENTS[type_], 7)
    assert json.loads(line) == {"v": 1, "seq": 7, "time": TIME, "type": type_, **EXPECTED[type_]}
    assert list(json.loads(line))[:4] == ["v", "seq", "time", "type"]
    assert line.endswith(b"}\n")


@given(text=st.text())
def test_any_text_is_one_line_and_comes_back_as_it_was(text: str) -> None:
    line = render(execution(text), 1)
    assert line.count(b"\n") == 1
    assert len(line.decode().splitlines()) == 1
    assert json.loads(line)["statement"] == text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a\nb", rb"a\nb"),
        ("\x1b[2J", rb"\u001b[2J"),
        ("\x7f", rb"\u007f"),
        ("\x9b2J", rb"\u009b2J"),
        ("\x85", rb"\u0085"),
        ("\u2028\u2029", rb"\u2028\u2029"),
        ("\u202e drop \u2066", rb"\u202e drop \u2066"),
        ("größe — ¥ 你好 🐘", "größe — ¥ 你好 🐘".encode()),
    ],
)
def test_what_ends_lines_or_steers_terminals_is_escaped(text: str, written: bytes) -> None:
    line = render(execution(text), 1)
    assert b'"statement":"' + written + b'"' in line
    assert json.loads(line)["statement"] == text


def test_a_lone_surrogate_is_spelled_out_and_recorded() -> None:
    assert json.loads(render(execution("a\ud800b"), 1))["statement"] == "a\\ud800b"


def test_a_lone_surrogate_in_a_name_is_spelled_out_and_recorded() -> None:
    context = replace(CONTEXT, identity=replace(CONTEXT.identity, display="x\udfff"))
    opened = EVENTS["session.opened"]
    assert isinstance(opened, SessionOpened)
    record = json.loads(render(replace(opened, context=context), 1))
    assert record["identity"]["display"] == "x\\udfff"


def test_what_the_records_of_a_session_begin_with_is_rendered_once() -> None:
    context = replace(CONTEXT, session_id="s_2")
    first = render(replace(execution(), context=context), 1)
    (heads,) = context.heads
    assert render(replace(execution(), context=context), 1) == first
    assert context.heads == [heads]
    assert context.heads[0] is heads
    assert replace(context, session_id="s_3").heads == []


@pytest.mark.parametrize("way", ["simple", "extended"])
def test_an_execution_and_its_outcome_take_at_most_700_bytes(way: Literal["simple", "extended"]) -> None:
    window = replace(WINDOW, id=f"w_{random_id()}")
    context = replace(CONTEXT, session_id=random_id(), window=window, policy="read-only")
    values = Parameters(values=(b"4711",), formats=()) if way == "extended" else None
    sql = "SELECT name FROM orders WHERE id = 4711"
    normalised = sql.replace("4711", "$1")
    summary = StatementSummary("50fde20626009aba", None if values else normalised, reads=("public.orders",))
    ran = replace(
        execution(normalised if values else sql, values), context=context, number=4711, summary=summary, protocol=way
    )
    outcome = EVENTS["outcome"]
    assert isinstance(outcome, Outcome)
    outcome = replace(outcome, context=context, number=4711)
    assert len(render(ran, 12_345_678)) + len(render(outcome, 12_345_679)) <= 700


def test_what_depends_on_the_statement_alone_is_rendered_once() -> None:
    summary = StatementSummary(fingerprint="50fde20626009aba", reads=("pg_catalog.pg_class",), of_catalog=True)
    event = replace(execution("SELECT relname FROM pg_class"), summary=summary)
    first = render(event, 1)
    kept = summary.rendered
    assert kept is not None
    assert render(replace(event, number=2), 1) == first.replace(b"s_1/1", b"s_1/2")
    assert summary.rendered is kept
    assert json.loads(first)["about"] == "catalog"
    explained = json.loads(render(replace(event, kind="explain"), 1))
    assert (explained["kind"], explained["statement"]) == ("explain", "SELECT relname FROM pg_class")
    refused = json.loads(render(replace(event, decision="deny"), 1))
    assert refused["decision"] == "deny"


def test_long_texts_are_not_kept_twice() -> None:
    summary = StatementSummary()
    render(replace(execution("SELECT '" + "x" * 5000 + "'"), summary=summary), 1)
    assert summary.rendered is None


def test_times_of_another_zone_are_written_in_utc() -> None:
    there = AT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert json.loads(render(ServiceStopped(at=there, reason="x"), 1))["time"] == TIME


def test_a_time_without_a_zone_is_not_guessed_at() -> None:
    with pytest.raises(ValueError, match="needs a zone"):
        render(ServiceStopped(at=datetime(2026, 11, 24), reason="x"), 1)  # noqa: DTZ001 - that is the point


@pytest.mark.parametrize("text", ["\x01" * 1_000_000, "DELETE FROM x -- " + "é" * 1_000_000, "x\ud800" * 100_000])
def test_of_what_was_refused_the_record_is_bounded_and_still_proves_what_it_was(text: str) -> None:
    refused = replace(execution(text), decision="deny")
    line = render(refused, 1)
    assert len(line) < 8 * REFUSED_TEXT
    record = json.loads(line)
    whole = text.encode("utf-8", "backslashreplace")
    assert record["statement_bytes"] == len(whole)
    assert record["statement_sha256"] == hashlib.sha256(whole).hexdigest()
    assert len(record["statement"]) >= REFUSED_TEXT


def test_of_what_runs_and_of_short_texts_nothing_is_left_out() -> None:
    text = "SELECT '" + "x" * 100_000 + "'"
    assert json.loads(render(execution(text), 1))["statement"] == text
    refused = json.loads(render(replace(execution("x" * REFUSED_TEXT), decision="deny"), 1))
    assert refused["statement"] == "x" * REFUSED_TEXT
    assert "statement_sha256" not in refused


def test_a_whole_second_has_its_microseconds_too() -> None:
    line = render(ServiceStopped(at=AT.replace(microsecond=0), reason="x"), 1)
    assert json.loads(line)["time"] == "2026-11-24T09:30:00.000000Z"
