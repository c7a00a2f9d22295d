"""The members that the records of the journal itself have, for the events of `audit_events.py`."""

from __future__ import annotations

__all__ = ["KEEPING_MEMBERS"]

KEEPING_MEMBERS: dict[str, dict[str, object]] = {
    "journal.torn": {"line": 4, "bytes": 21, "files": ["torn-00000000000000000004"]},
    "journal.replaced": {
        "origin": "a/0/ijklmnop",
        "before": {"origin": "a/0/abcdefgh", "lines": 4, "seq": 9, "sha256": "ab" * 32},
    },
    "journal.segment.dropped": {
        "segment": "00000000000000000000.jsonl.zst",
        "first": 0,
        "lines": 4,
        "until": "2026-11-24T09:30:00.000042Z",
        "archived": None,
    },
    "journal.salts.dropped": {"days": ["2026-11-22", "2026-11-23"]},
    "journal.space.low": {"free_bytes": 7, "warn_bytes": 9},
    "journal.space.regained": {"free_bytes": 11, "warn_bytes": 9},
}
