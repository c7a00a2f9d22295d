"""Executions and reports as the audit answers them, and texts that no page may take for markup."""

from __future__ import annotations

from typing import Any

__all__ = ["DETAIL", "EXECUTION", "HOSTILE", "REFUSED", "REPORT", "assert_text_only"]

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"' & \u202edrowssap\u2066\x1b[31m\x07\u200b"
EXECUTION: dict[str, Any] = {
    "journal": "n1/0/abcdefgh",
    "seq": 7,
    "time": "2026-11-24T08:00:00.000001Z",
    "identity": "t/o-ana",
    "oid": "o-ana",
    "display": "ana@example.com",
    "policy": "reading",
    "connection": "shop",
    "window": "w_1",
    "session": "abc",
    "execution": "abc/3",
    "decision": "allow",
    "kind": "select",
    "statement": "SELECT * FROM public.customers",
    "reads": ["public.customers"],
    "ended": "completed",
    "command": "SELECT 12",
    "rows": 12,
    "bytes": 480,
    "duration_us": 12_500,
    "protocol": "simple",
}
REFUSED: dict[str, Any] = {
    **EXECUTION,
    "seq": 9,
    "execution": "abc/4",
    "decision": "deny",
    "ended": "refused",
    "rows": 0,
    "statement": "SELECT 1; DROP TABLE t",
    "rules": ["write-scope"],
    "violations": [
        {
            "rule": "write-scope", "message": "the policy does not let `t` be changed", "detail": "Rule write-scope.",
            "hint": "Read it instead.", "position": 11, "entry": "policies/reading.yaml:12:5",
        }
    ],
}  # fmt: skip
DETAIL: dict[str, Any] = {
    "execution": EXECUTION,
    "session": {"session": "abc", "kind": "user", "tls": "TLSv1.3", "gone": True},
    "window": {"window": "w_1", "opened_at": "2026-11-24T07:59:00.000000Z", "reason": "schema diff"},
    "records": [{"seq": 7, "type": "execution"}, {"seq": 8, "type": "outcome"}],
}
REPORT: dict[str, Any] = {
    "made_at": "2026-11-24T09:00:00.000000Z",
    "since": "2026-11-17T09:00:00.000000Z",
    "parts": {
        "activity": {
            "title": "Executions",
            "note": "For each day.",
            "columns": ["day", "allowed", "refused", "failed", "rows"],
            "items": [{"day": "2026-11-23", "allowed": 10, "refused": 2, "failed": 1, "rows": 7000}],
            "more": False,
        },
        "access": {
            "title": "Who had access, and when",
            "note": "Each window.",
            "columns": ["who", "opened_at", "ended_at", "window"],
            "items": [{"who": HOSTILE, "opened_at": "2026-11-23T08:00:00.000000Z", "window": "w_1"}],
            "more": True,
        },
        "rows": {
            "title": "Rows and bytes for each identity",
            "note": "What the servers sent.",
            "columns": ["who", "rows"],
            "items": [{"who": HOSTILE, "rows": 7}, {"who": "=1+1", "rows": 1}],
            "more": False,
        },
        "late": {"title": "Late", "note": "There must be none.", "columns": ["who"], "items": [], "more": False},
    },
}


def assert_text_only(page: str) -> None:
    """Nothing of HOSTILE is markup, controls anything, or is without a trace."""
    for part in ("<script>alert", "<img src=x", "\u202e", "\u2066", "\x1b", "\x07", "\u200b"):
        assert part not in page, part
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
