"""The API's events as pages get them: each with words that are ready to be shown.

Decides what a page is sent of an event: its type, the ids by which a page knows whether it is concerned, and words in
which nothing is invisible. Browsers show them as text. An event or a state of the sessions is worked on once, however
many pages follow it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from typing import Any, Final

from pgjit.audit.reading.record_words import proof_words, record_words, who_words
from pgjit.console.shown import count_text, plain_text, size_text

__all__ = ["event_for_page", "for_pages"]

_LONGEST: Final = 500  # characters of a statement
_STATE: Final = b"event: live\n"


async def for_pages(stream: AsyncIterable[bytes]) -> AsyncGenerator[list[bytes]]:
    """Whole events, each with its empty line; in a list those that came together."""
    rest = b""
    async for chunk in stream:
        *whole, rest = (rest + chunk).split(b"\n\n")
        if whole:
            yield [
                (_state(event) if event.startswith(_STATE) else event_for_page(event)) + b"\n\n" for event in whole
            ]


@functools.lru_cache(maxsize=64)
def event_for_page(event: bytes) -> bytes:
    """An event of a record, without its name: the data has its type, and pages have one listener for all.

    A comment, `retry`, `gap` and `end` stay as they are.
    """
    head, found, data = event.partition(b"\ndata: ")
    name, named, _ = head.partition(b"\nevent: ")
    if not found or not named:
        return event
    return name + b"\ndata: " + json.dumps(_shown(json.loads(data))).encode()


@functools.lru_cache(maxsize=4)
def _state(event: bytes) -> bytes:
    head, _, data = event.partition(b"\ndata: ")
    state = json.loads(data)
    rows = [_session(each) for each in state["sessions"]]
    return head + b"\ndata: " + json.dumps({"sessions": rows, "more": state["more"]}).encode()


def _shown(record: Mapping[str, Any]) -> dict[str, object]:
    kind = str(record.get("type"))
    window, session = record.get("window"), record.get("session")
    ids = [
        window.get("id") if isinstance(window, Mapping) else window,
        session.get("id") if isinstance(session, Mapping) else session,
        record.get("request"),
    ]
    return {
        "type": kind,
        "ids": [each for each in ids if isinstance(each, str)],
        "time": record.get("time"),
        "words": plain_text(_words(kind, record)),
        "ended": kind in ("session.ended", "window.ended"),
    }


def _words(kind: str, record: Mapping[str, Any]) -> str:
    who = who_words(record.get("identity"))
    match kind:
        case "session.ended":
            return f"session of {who} under {record.get('policy')} ended: {record.get('reason')}{proof_words(record)}"
        case "session.opened":
            return f"session of {who} under {record.get('policy')} opened"
        case "window.opened" | "window.ended" | "window.ending":
            reason = f": {record['reason']}" if record.get("reason") else ""
            return f"window of {who} under {record.get('policy')} {kind.partition('.')[2]}{reason}"
        case _:
            return record_words(record)


def _session(session: Mapping[str, Any]) -> dict[str, object]:
    """The cells of a row, by the name that the template gives them."""
    running, budget = session["running"], session["budget"] or {}
    used = {f"used_{name}": each["used"] for name, each in budget.items()}
    return {
        "id": session["id"],
        "cells": {
            "state": session["state"],
            "executions": count_text(session["executions"]),
            "rows": count_text(session["rows"]),
            "bytes": size_text(session["bytes"]),
            "statement": "" if running is None else _statement(running),
            **{name: size_text(each) if name == "used_bytes" else count_text(each) for name, each in used.items()},
        },
        "used": used,
        "since": None if running is None else running["started_at"],
        "ends": session["ends_at"],
    }


def _statement(running: Mapping[str, Any]) -> str:
    text = " ".join(str(running["statement"]).split())
    cut = running["more"] or len(text) > _LONGEST
    return plain_text(text[:_LONGEST]) + ("…" if cut else "")
