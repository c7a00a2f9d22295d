"""How an execution and its outcome are written. Pure."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from pgjit.audit.event import Execution, Outcome
from pgjit.audit.parameter_record import parameter_members, parameters_json
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
"""Up to this length of a text the members that depend on it alone are kept as they are rendered."""

_OF_VIOLATION = ("rule", "message", "detail", "hint", "position", "sqlstate", "statement")


def execution_members(event: Execution, salts: SaltSource | None = None) -> str:
    """Raises OSError if the policy redacts, and there is no salt."""
    context = event.context
    if context.redaction is None and not context.statements_only:
        more = "" if event.parameters is None else f',"parameters":{parameters_json(event.parameters)}'
        if event.violations or event.through or event.unresolved is not None:
            return _members(event, event, more)
        # Most executions come here.
        protocol = "" if event.protocol == "simple" else '"protocol":"extended",'
        prepared_as = "" if event.prepared_as is None else _prepared_as(event.prepared_as)
        return f'{protocol}"decision":"{event.decision}"{_statement(event, event)}{prepared_as}{more}'
    members, redacted = None, b""
    if context.redaction is not None:
        event, members, redacted = redact_execution(event, salts)
    shown: Execution | ShownStatement = valueless(event) if context.statements_only else event
    parameters = ""
    if shown.parameters is not None:
        parameters = f',"parameters":{_json(members or parameter_members(shown.parameters))}'
    return _members(event, shown, f"{parameters}{redacted.decode()}")


def _members(event: Execution, shown: Execution | ShownStatement, more: str) -> str:
    """With `more` at the end. Without a dict of all members, which is slower."""
    if shown.violations:
        more = f',"violations":{_json([_violation(found) for found in shown.violations])}{_named(event, shown)}{more}'
    elif event.prepared_as is not None or shown.through or event.unresolved is not None:
        more = _named(event, shown) + more
    protocol = "" if event.protocol == "simple" else '"protocol":"extended",'
    return f'{protocol}"decision":"{event.decision}"{_statement(event, shown)}{more}'


def _named(event: Execution, shown: Execution | ShownStatement) -> str:
    """By which names and texts it came to be."""
    prepared_as = "" if event.prepared_as is None else _prepared_as(event.prepared_as)
    if not shown.through and event.unresolved is None:
        return prepared_as
    through = f',"through":{_json(list(shown.through))}' if shown.through else ""
    unresolved = "" if event.unresolved is None else f',"unresolved":{_json(event.unresolved)}'
    return f"{prepared_as}{through}{unresolved}"


@lru_cache(maxsize=1024)
def _prepared_as(name: str) -> str:
    return f',"prepared_as":{_json(name)}'


def _statement(event: Execution, shown: Execution | ShownStatement) -> str:
    """What depends on the statement alone. It is rendered once for each judgement, unless it is long."""
    summary, text = shown.summary, shown.statement
    if summary is None or event.decision == "deny" or len(text) > _KEPT_TEXT:
        return _rendered(event, text, summary)
    kept = summary.rendered
    if kept is None or kept[0] is not text or kept[1] != event.kind:
        kept = summary.rendered = text, event.kind, _rendered(event, text, summary)
    return kept[2]


def _rendered(event: Execution, text: str, summary: StatementSummary | None) -> str:
    kind = "" if event.kind is None else _kind(event.kind)
    return f"{kind},{_text_member(text, event.decision)}{'' if summary is None else _summary(summary)}"


@lru_cache(maxsize=1024)
def _kind(kind: str) -> str:
    return f',"kind":{_json(kind)}'


def _text_member(text: str, decision: str) -> str:
    """The whole text of a statement that runs. A refused one is cut: refused clients could fill the journal."""
    if decision == "allow" or len(text) <= REFUSED_TEXT:
        return f'"statement":{_json(text)}'
    whole = text.encode("utf-8", "backslashreplace")
    digest = hashlib.sha256(whole).hexdigest()
    return f'"statement":{_json(text[:REFUSED_TEXT])},"statement_bytes":{len(whole)},"statement_sha256":"{digest}"'


def _summary(summary: StatementSummary) -> str:
    """With its comma. It is kept, for texts that differ only in constants share their summary."""
    if summary.rendered_names is not None:
        return summary.rendered_names
    members: dict[str, object] = {
        "normalised": summary.normalised,
        "fingerprint": summary.fingerprint,
        "reads": summary.reads,
        "writes": summary.writes,
        "calls": summary.calls,
        "about": "catalog" if summary.of_catalog else None,
    }
    present = {name: value for name, value in members.items() if value}
    rendered = summary.rendered_names = f",{as_members(present).decode()}" if present else ""
    return rendered


def outcome_members(event: Outcome, salts: SaltSource | None = None) -> str:
    """Raises as `execution_members`."""
    more, redacted = "", b""
    if event.bytes:
        more = f',"bytes":{event.bytes}'
    if event.received:
        more += f',"received":{event.received}'
    if event.sqlstate is not None:
        more += f',"sqlstate":{_json(event.sqlstate)}'
    if event.message is not None and not event.context.statements_only:
        message = event.message[:LONGEST_MESSAGE]
        if event.context.redaction is not None:
            message, redacted = redact_message(event, LONGEST_MESSAGE, salts)
        more += f',"message":{_json(message)}'
    if event.first_row_us is not None:
        more += f',"first_row_us":{event.first_row_us}'
    last = redacted.decode() if redacted else ""
    if event.result is not None:
        last = f',"result":{_json(event.result.members())}{last}'
    command = "" if event.command is None else _command(event.command)
    return f'"ended":"{event.ended}",{command}"rows":{event.rows}{more},"duration_us":{event.duration_us}{last}'


@lru_cache(maxsize=1024)
def _command(tag: str) -> str:
    return f'"command":{_json(tag)},'


def _json(value: object) -> str:
    return as_json(value).decode()


def _violation(found: Violation) -> dict[str, object]:
    objects = [{"object": each.sort, "name": each.text} for each in found.objects[:20]]
    members = {**{key: getattr(found, key) for key in _OF_VIOLATION}, "objects": objects, "entry": found.entry}
    if found.sibling is not None:
        members["sibling"] = {"statement": found.sibling[0], "rule": found.sibling[1]}
    return {name: value for name, value in members.items() if value not in (None, [], "")}
