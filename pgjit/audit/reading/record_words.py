"""What a record says, in words: for the terminal and for pages. Pure.

Decides the words. The text may have whatever an agent sent in it: who shows it has to escape it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["milliseconds", "outcome_words", "proof_words", "record_words", "who_words"]

Item = Mapping[str, Any]


def record_words(record: Item) -> str:
    """What a record says, in words; the type and its reason where it has no words of its own."""
    kind, by = str(record["type"]), record.get("by")
    actor = f" by {by.get('display') or by.get('oid')}" if isinstance(by, Mapping) else ""
    reason = f": {record['reason']}" if record.get("reason") else ""
    match kind:
        case "request.made":
            ttl = record.get("ttl_seconds")
            return f"{who_words(record.get('identity'))} asked for {ttl:g} s{reason}" if ttl else f"asked{reason}"
        case "request.verdict":
            via = f" via {by.get('via')}" if isinstance(by, Mapping) and by.get("via") else ""
            comment = f": {record['comment']}" if record.get("comment") else ""
            return f"{record.get('verdict')}{actor}{via}{comment}"
        case "request.ended":
            return f"request {record.get('state')}"
        case "window.opened":
            return f"opened from {record.get('source')}{reason}"
        case "session.opened":
            return f"{record.get('application_name') or 'a client'} from {record.get('source')}, {record.get('tls')}"
        case "session.ended":
            return f"ended{reason}, {record.get('executions', 0)} executions{proof_words(record)}"
        case "break_glass.signed_off":
            return f"signed off{actor}: {record.get('comment')}"
        case _:
            return f"{kind.replace('.', ' ').replace('_', '-')}{actor}{reason}{proof_words(record)}"


def outcome_words(record: Item) -> str:
    error = f" {record['sqlstate']}" if record.get("sqlstate") else ""
    message = f" {record['message']}" if record.get("message") else ""
    command = f" {record['command']}" if record.get("command") else ""
    took = f", {milliseconds(record['duration_us'])} ms" if "duration_us" in record else ""
    return f"{record.get('ended')}{command}{error}{message} ({record.get('rows', 0)} rows{took})"


def proof_words(session: Item) -> str:
    proof = session.get("proof")
    if not isinstance(proof, Mapping):
        return ""
    took = f" after {proof['took_ms']} ms" if "took_ms" in proof else ""
    by = "a restart of its server" if proof.get("by") == "restart" else "a look at its server"
    return f"; backend gone{took}, proven by {by}" if proof.get("gone") else "; BACKEND NOT SEEN TO BE GONE"


def who_words(item: object) -> str:
    if not isinstance(item, Mapping):
        return str(item or "-")
    return str(item.get("display") or item.get("oid") or item.get("identity") or "-")


def milliseconds(microseconds: object) -> str:
    if not isinstance(microseconds, int):
        return ""
    return f"{microseconds / 1000:.1f}" if microseconds < 100_000 else f"{microseconds / 1000:.0f}"
