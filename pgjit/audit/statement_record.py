"""How an execution and its outcome are written. Pure."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from pgjit.audit.event import Execution, Outcome
from pgjit.audit.parameter_record import parameter_members
from pgjit.audit.record_json import as_json, as_members
from pgjit.audit.redaction.redacted_record import redact_execution, redact_message
from pgjit.audit.redaction.salts import SaltSource
from pgjit.audit.valueless import ShownStatement, valueless
from pgjit.policy.decision import Violation
from pgjit.sql.statement import StatementSummary

__all__ = ["LONGEST_MESSAGE", "REFUSED_TEXT", "execution_members", "outcome_members"]

REFUSED_TEXT = 2048
"""How many characters of a refused statement are kept. The record of a longer one has its length and SHA-256 too."""

LONGEST_MESSAGE = 1000
"""How many characters of an error's message are kept."""

_KEPT_TEXT = 4096
"""Up to this length of a text the members that depend on it alone are kept as bytes."""

_OF_VIOLATION = ("rule", "message", "detail", "hint", "position", "sqlstate", "statement")


def execution_members(event: Execution, salts: SaltSource | None = None) -> bytes:
    """Raises OSError if the policy redacts, and there is no salt."""
    # Without a dict of all members, which is slower: both are written for every statement that runs.
    parameters, redacted = None, b""
    if event.context.redaction is not None:
        event, parameters, redacted = redact_execution(event, salts)
    shown: Execution | ShownStatement = event
    if event.context.statements_only:
        shown = valueless(event)
    protocol = b"" if event.protocol == "simple" else b'"protocol":"extended",'
    parts = [b'%s"decision":"%s"' % (protocol, event.decision.encode()), _statement(event, shown)]
    if shown.violations:
        parts.append(b',"violations":%s' % as_json([_violation(found) for found in shown.violations]))
    if event.prepared_as is not None:
        parts.append(b',"prepared_as":%s' % as_json(event.prepared_as))
    if shown.through:
        parts.append(b',"through":%s' % as_json(list(shown.through)))
    if event.unresolved is not None:
        parts.append(b',"unresolved":%s' % as_json(event.unresolved))
    if shown.parameters is not None:
        parts.append(b',"parameters":%s' % as_json(parameters or parameter_members(shown.parameters)))
    return b"".join([*parts, redacted])


def _statement(event: Execution, shown: Execution | ShownStatement) -> bytes:
    """What depends on the statement alone. It is rendered once for each judgement, unless it is long."""
    summary, text = shown.summary, shown.statement
    if summary is None or event.decision == "deny" or len(text) > _KEPT_TEXT:
        return _rendered(event, text, summary)
    kept = summary.rendered
    if kept is None or kept[0] is not text or kept[1] != event.kind:
        kept = summary.rendered = text, event.kind, _rendered(event, text, summary)
    return kept[2]


def _rendered(event: Execution, text: str, summary: StatementSummary | None) -> bytes:
    kind = b"" if event.kind is None else b',"kind":%s' % as_json(event.kind)
    return b"%s,%s%s" % (kind, _text_member(text, event.decision), b"" if summary is None else _summary(summary))


def _text_member(text: str, decision: str) -> bytes:
    """The whole text of a statement that runs. A refused one is cut: refused clients could fill the journal."""
    if decision == "allow" or len(text) <= REFUSED_TEXT:
        return b'"statement":%s' % as_json(text)
    whole = text.encode("utf-8", "backslashreplace")
    return b'"statement":%s,"statement_bytes":%d,"statement_sha256":"%s"' % (
        as_json(text[:REFUSED_TEXT]), len(whole), hashlib.sha256(whole).hexdigest().encode(),
    )  # fmt: skip


def _summary(summary: StatementSummary) -> bytes:
    members: dict[str, object] = {
        "normalised": summary.normalised,
        "fingerprint": summary.fingerprint,
        "reads": summary.reads,
        "writes": summary.writes,
        "calls": summary.calls,
        "about": "catalog" if summary.of_catalog else None,
    }
    present = {name: value for name, value in members.items() if value}
    return b",%s" % as_members(present) if present else b""


def outcome_members(event: Outcome, salts: SaltSource | None = None) -> bytes:
    """Raises as `execution_members`."""
    more = redacted = b""
    if event.bytes:
        more = b',"bytes":%d' % event.bytes
    if event.received:
        more += b',"received":%d' % event.received
    if event.sqlstate is not None:
        more += b',"sqlstate":%s' % as_json(event.sqlstate)
    if event.message is not None and not event.context.statements_only:
        message = event.message[:LONGEST_MESSAGE]
        if event.context.redaction is not None:
            message, redacted = redact_message(event, LONGEST_MESSAGE, salts)
        more += b',"message":%s' % as_json(message)
    if event.first_row_us is not None:
        more += b',"first_row_us":%d' % event.first_row_us
    if event.result is not None:
        redacted = b',"result":%s%s' % (as_json(event.result.members()), redacted)
    command = b"" if event.command is None else _command(event.command)
    return b'"ended":"%s",%s"rows":%d%s,"duration_us":%d%s' % (
        event.ended.encode(), command, event.rows, more, event.duration_us, redacted,
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _command(tag: str) -> bytes:
    return b'"command":%s,' % as_json(tag)


def _violation(found: Violation) -> dict[str, object]:
    objects = [{"object": each.sort, "name": each.text} for each in found.objects[:20]]
    members = {**{key: getattr(found, key) for key in _OF_VIOLATION}, "objects": objects, "entry": found.entry}
    if found.sibling is not None:
        members["sibling"] = {"statement": found.sibling[0], "rule": found.sibling[1]}
    return {name: value for name, value in members.items() if value not in (None, [], "")}
