"""An execution and an outcome as their records have them under a policy with `redact`. Pure.

Decides what may hold a redacted value, and what stands in its place. With `columns`: the constants and parameters of
a statement that may use one of them, unless they certainly belong to another column; the texts that led to it; the
wording of its violations, which may quote it; every text that was not parsed; every message of the server, for a
trigger may quote any column. With `patterns`: what they match, in each text that a client or the server gave.
INVARIANT: a text that cannot be searched as a whole is left out as a whole.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import NamedTuple

from pgjit.audit.event import Execution, Outcome, SessionEnded, SessionOpened, time_of_event
from pgjit.audit.parameter_record import parameter_members
from pgjit.audit.record_json import as_json
from pgjit.audit.redaction.commitment import commitment
from pgjit.audit.redaction.salts import SaltKey, SaltSource
from pgjit.judging.redacted_text import MOST_VALUES, search_text
from pgjit.policy.decision import Violation
from pgjit.policy.redaction import Redaction

__all__ = [
    "RedactedExecution",
    "RedactedMessage",
    "redact_detail",
    "redact_execution",
    "redact_message",
    "redact_names",
    "redacted_statement",
]

_HIDDEN = "[redacted 1]"
"""In place of a text that is left out as a whole."""

_NOT_SHOWN = "-- redacted"
_LONGEST_SEARCHED = 64 * 1024
"""Characters of a text that was not parsed. A longer one is left out: it is searched on the event loop."""


class RedactedExecution(NamedTuple):
    event: Execution
    parameters: dict[str, object] | None
    redacted: bytes  # the member `redacted`, with its comma; empty if there is none


class RedactedMessage(NamedTuple):
    text: str
    redacted: bytes


class _Commitments:
    """The commitments of one record."""

    def __init__(self, key: SaltKey, session: str, number: int) -> None:
        self._key = key
        self._execution = f"{session}/{number}"
        self._values: list[dict[str, str]] = []

    def add(self, member: str, value: bytes) -> None:
        if len(self._values) < 2 * MOST_VALUES:
            committed = commitment(member, self._key.salt(self._execution, member), value)
            self._values.append({"member": member, "commitment": base64.b64encode(committed).decode()})

    def add_all(self, name: str, values: tuple[bytes, ...]) -> None:
        for number, value in enumerate(values, 1):
            self.add(f"{name}/{number}", value)

    def rendered(self) -> bytes:
        if not self._values:
            return b""
        return b',"redacted":%s' % as_json({"salts": self._key.name, "values": self._values})


def redact_execution(event: Execution, salts: SaltSource | None) -> RedactedExecution:
    """`event.context.redaction` decides. Raises OSError if there is no salt."""
    redaction = event.context.redaction
    if redaction is None or salts is None:
        raise ValueError("a record under a policy with `redact` needs salts")
    commitments = _Commitments(salts.key_for(time_of_event(event)), event.context.session_id, event.number)
    ready = None if event.summary is None else event.summary.redacted
    touches = redaction.columns is not None if ready is None else ready.touches
    text, values = redacted_statement(event, redaction)
    if not event.context.statements_only:
        commitments.add_all("statement", values)
    open_parameters = frozenset() if ready is None else ready.open_parameters
    changed = text != event.statement
    redacted = replace(
        event,
        statement=text,
        violations=tuple(_violation(each, redaction, touches=touches, moved=changed) for each in event.violations),
        prepared_as=_searched(event.prepared_as, redaction),
        unresolved=_searched(event.unresolved, redaction),
        through=tuple(
            _NOT_SHOWN if touches or len(each) > _LONGEST_SEARCHED else search_text(each, redaction)[0]
            for each in event.through
        ),
    )
    parameters = None
    if event.parameters is not None and not event.context.statements_only:
        parameters = parameter_members(event.parameters)
        _redact_parameters(parameters, redaction, open_parameters if touches else None, commitments)
    return RedactedExecution(redacted, parameters, commitments.rendered())


def redacted_statement(event: Execution, redaction: Redaction) -> tuple[str, tuple[bytes, ...]]:
    """The text of the statement as its record has it, and the values that are left out."""
    ready = None if event.summary is None else event.summary.redacted
    return _unparsed(event.statement, redaction) if ready is None else (ready.text, ready.values)


def redact_message(event: Outcome, longest: int, salts: SaltSource | None) -> RedactedMessage:
    """The message of an outcome that has one. Raises OSError if there is no salt."""
    redaction, message = event.context.redaction, event.message or ""
    if redaction is None or salts is None:
        raise ValueError("a record under a policy with `redact` needs salts")
    text, values = search_text(message[:_LONGEST_SEARCHED], redaction)
    if redaction.columns is not None or len(message) > _LONGEST_SEARCHED:
        text, values = _HIDDEN, (message.encode("utf-8", "backslashreplace"),)
    if not values:
        return RedactedMessage(text[:longest], b"")
    commitments = _Commitments(salts.key_for(time_of_event(event)), event.context.session_id, event.number)
    commitments.add_all("message", values)
    return RedactedMessage(text[:longest], commitments.rendered())


def redact_detail(event: SessionEnded) -> str | None:
    """The detail of a session's end: the server's own words, if it ended the session."""
    redaction, detail = event.context.redaction, event.detail
    if event.context.statements_only and event.reason == "server":
        return None
    if redaction is None or detail is None:
        return detail
    return (
        "[redacted]" if redaction.columns is not None and event.reason == "server" else _searched(detail, redaction)
    )


def redact_names(event: SessionOpened) -> tuple[str | None, str]:
    """The `application_name` and the user name of a startup message, which may be any text."""
    name, user, redaction = event.application_name, event.startup_user, event.context.redaction
    return (name, user) if redaction is None else (_searched(name, redaction), search_text(user, redaction)[0])


def _unparsed(text: str, redaction: Redaction) -> tuple[str, tuple[bytes, ...]]:
    if redaction.columns is None and len(text) <= _LONGEST_SEARCHED:
        return search_text(text, redaction)
    whole = (text.encode("utf-8", "backslashreplace"),) if len(text) <= _LONGEST_SEARCHED else ()
    return _NOT_SHOWN, whole


def _redact_parameters(
    members: dict[str, object], redaction: Redaction, open_: frozenset[int] | None, commitments: _Commitments
) -> None:
    """`open_`: None if none of them can belong to a redacted column; else the numbers of those that do not."""
    values = members["values"]
    assert isinstance(values, list)
    for index, shown in enumerate(values):
        if shown is None:
            continue
        text = shown if isinstance(shown, str) else as_json(shown).decode()
        in_part = isinstance(shown, dict) and "length" in shown
        hidden = open_ is not None and index + 1 not in open_
        if hidden or (redaction.patterns and (in_part or _is_opaque(shown) or redaction.is_in(text))):
            member = f"parameters/{index + 1}"
            commitments.add(member, text.encode("utf-8", "backslashreplace"))
            values[index] = {"redacted": member}


def _is_opaque(shown: object) -> bool:
    """Bytes, which cannot be searched."""
    return isinstance(shown, dict) and "base64" in shown


def _searched(text: str | None, redaction: Redaction) -> str | None:
    return None if text is None else search_text(text, redaction)[0]


def _violation(violation: Violation, redaction: Redaction, *, touches: bool, moved: bool) -> Violation:
    shown = replace(
        violation,
        message="" if touches else search_text(violation.message, redaction)[0],
        detail=None if touches else _searched(violation.detail, redaction),
        hint=None if touches else _searched(violation.hint, redaction),
        position=None if moved else violation.position,
    )
    if not redaction.patterns:
        return shown
    return replace(
        shown,
        objects=tuple(
            replace(each, name=tuple(_searched(part, redaction) for part in each.name)) for each in shown.objects
        ),
    )
