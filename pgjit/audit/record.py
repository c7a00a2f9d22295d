"""How an event is written: as one line of JSON, whatever it contains. Pure.

Decides the names and the order of a record's members. Does not know where lines go. The members for identity, policy
and window come first and in a fixed order, so that a line reads well in a terminal.

No content can break a line, control a terminal or hide from a reader: JSON escapes the control characters up to 0x1F,
and `invisible_characters.py` the other characters that are not shown.
"""

from __future__ import annotations

import base64
import hashlib

from pgjit.audit.event import (
    ApiCalled,
    BackendGone,
    BackendRemains,
    Event,
    Evidence,
    Execution,
    JournalGap,
    LoginRefused,
    Outcome,
    Parameters,
    Proof,
    ServiceStarted,
    ServiceStopped,
    SessionContext,
    SessionEnded,
    SessionOpened,
    StoreRestored,
    WindowEnded,
    WindowEnding,
    WindowOpened,
)
from pgjit.audit.parameters import kept
from pgjit.audit.record_json import as_json, as_members, time_text
from pgjit.audit.review_event import ReviewEvent
from pgjit.audit.review_record import review_members
from pgjit.grants.server_process import ServerInstance, ServerProcess
from pgjit.grants.window import Window
from pgjit.identity.identity import Identity
from pgjit.policy.decision import Violation

__all__ = ["REFUSED_TEXT", "ContextCache", "render", "time_text"]

REFUSED_TEXT = 2048
"""How many characters of a refused statement are kept. The record of a longer one has its length and SHA-256 too."""

_EXPRESSION = 2
_CONTEXTS_KEPT = 1024


class ContextCache:
    """The rendered members of session contexts. Rendering them for every record would be most of a record's cost."""

    def __init__(self) -> None:
        self._rendered: dict[int, tuple[SessionContext, bytes]] = {}

    def members(self, context: SessionContext) -> bytes:
        """The members that every record of a session has."""
        # The cache holds its contexts, so no other object has the id of one of them.
        rendered = self._rendered.get(id(context))
        if rendered is None:
            if len(self._rendered) >= _CONTEXTS_KEPT:
                self._rendered.clear()
            rendered = self._rendered[id(context)] = context, _context(context)
        return rendered[1]


def render(event: Event, seq: int, contexts: ContextCache | None = None) -> bytes:
    """The record of `event` as line `seq` of its journal, with the newline."""
    head = b'{"seq":%d,"time":"%s","type":' % (seq, time_text(event.at).encode())
    return b"".join((head, _members(event, contexts or ContextCache()), b"}\n"))


def _context(context: SessionContext) -> bytes:
    return as_members(
        {
            "identity": _identity(context.identity),
            "policy": context.policy,
            "policy_version": context.policy_version,
            "window": _window(context.window),
            "session": context.session_id,
            "connection": context.connection,
            "backend_pid": context.backend_pid,
            "source": context.source,
        }
    )


def _members(event: Event, contexts: ContextCache) -> bytes:
    """The value of `"type"`, and the members that follow."""
    match event:
        case Execution():
            return b'"execution",%s,%s' % (contexts.members(event.context), _execution(event))
        case Outcome():
            return b'"outcome",%s,%s' % (contexts.members(event.context), _outcome(event))
        case SessionOpened():
            return b'"session.opened",%s,%s' % (contexts.members(event.context), as_members(_opened(event)))
        case SessionEnded():
            return b'"session.ended",%s,%s' % (contexts.members(event.context), as_members(_ended(event)))
        case WindowOpened():
            return b'"window.opened",%s' % as_members(_window_opened(event))
        case WindowEnding():
            return b'"window.ending",%s' % as_members(_window_ended(event))
        case WindowEnded():
            return b'"window.ended",%s' % as_members(_window_ended(event))
        case BackendRemains():
            return b'"backend.remains",%s' % as_members(_left_behind(event))
        case BackendGone():
            return b'"backend.gone",%s' % as_members(_left_behind(event))
        case LoginRefused():
            return b'"login.refused",%s' % as_members(_login_refused(event))
        case ServiceStarted():
            started: dict[str, object] = {
                "version": event.version,
                "config_hash": event.config_hash,
                "policies": [{"name": name, "version": version} for name, version in event.policies],
            }
            return b'"service.started",%s' % as_members(started)
        case ServiceStopped():
            return b'"service.stopped",%s' % as_members({"reason": event.reason})
        case JournalGap():
            return b'"journal.gap",%s' % as_members(_gap(event))
        case StoreRestored():
            return b'"store.restored",%s' % as_members({"windows": list(event.windows)})
        case ApiCalled():
            return b'"api.called",%s' % as_members(_api_called(event))
        case ReviewEvent():
            kind, members = review_members(event)
            return b'"%s",%s' % (kind.encode(), as_members(members))


def _execution(event: Execution) -> bytes:
    # Without a dict of all members, which is slower: this and _outcome are written for every statement that runs.
    parts = [
        b'"execution":%s,"protocol":"%s","decision":"%s"'
        % (as_json(event.execution_id), event.protocol.encode(), event.decision.encode()),
        b',"kind":%s,%s' % (as_json(event.kind), _statement(event)),
    ]
    if event.violations:
        parts.append(b',"violations":%s' % as_json([_violation(found) for found in event.violations]))
    if event.prepared_as is not None:
        parts.append(b',"prepared_as":%s' % as_json(event.prepared_as))
    if event.through:
        parts.append(b',"through":%s' % as_json(list(event.through)))
    if event.unresolved is not None:
        parts.append(b',"unresolved":%s' % as_json(event.unresolved))
    if event.parameters is not None:
        parts.append(b',"parameters":%s' % as_json(_parameters(event.parameters)))
    return b"".join(parts)


def _statement(event: Execution) -> bytes:
    """The whole text of a statement that runs. A refused one is cut: refused clients could fill the journal."""
    text = event.statement
    if event.decision == "allow" or len(text) <= REFUSED_TEXT:
        return b'"statement":%s' % as_json(text)
    whole = text.encode("utf-8", "backslashreplace")
    return b'"statement":%s,"statement_bytes":%d,"statement_sha256":"%s"' % (
        as_json(text[:REFUSED_TEXT]), len(whole), hashlib.sha256(whole).hexdigest().encode(),
    )  # fmt: skip


def _outcome(event: Outcome) -> bytes:
    return (
        b'"execution":%s,"ended":"%s","command":%s,"rows":%d,"bytes":%d,"received":%d,"sqlstate":%s,"duration_us":%d'
        % (
            as_json(event.execution_id),
            event.ended.encode(),
            as_json(event.command),
            event.rows,
            event.bytes,
            event.received,
            as_json(event.sqlstate),
            event.duration_us,
        )
    )


def _parameters(parameters: Parameters) -> dict[str, object]:
    """Text as text, binary as base64, NULL as null, an expression as `sql`; `truncated` where some are left out."""
    parameters = kept(parameters)
    last = len(parameters.values) - 1
    values: list[object] = []
    for index, value in enumerate(parameters.values):
        length = parameters.length if index == last else None
        if value is None:
            values.append(None)
            continue
        shown = _value(value, _format(parameters.formats, index), whole=length is None)
        if length is not None:
            shown = {**(shown if isinstance(shown, dict) else {"text": shown}), "length": length}
        values.append(shown)
    result: dict[str, object] = {"count": parameters.count, "values": values}
    if parameters.length is not None or parameters.count != len(values):
        result["truncated"] = True
    return result


def _value(value: bytes, format_: int, *, whole: bool) -> str | dict[str, object]:
    if format_ != 1 and (text := _text(value, whole=whole)) is not None:
        return {"sql": text} if format_ == _EXPRESSION else text
    return {"base64": base64.b64encode(value).decode()}


def _text(value: bytes, *, whole: bool) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        # A cut may fall inside the last character; anything else is not text.
        if not whole and error.start >= len(value) - 3 and error.reason == "unexpected end of data":
            return value[: error.start].decode()
        return None


def _format(formats: tuple[int, ...], index: int) -> int:
    """The format of a value, as in Bind: no formats mean text, one format is for all values."""
    if len(formats) == 1:
        return formats[0]
    return formats[index] if index < len(formats) else 0


def _opened(event: SessionOpened) -> dict[str, object]:
    return {
        "application_name": event.application_name,
        "tls": event.tls,
        "startup_user": event.startup_user,
        "server_version": event.server_version,
        "membership": None if event.membership is None else _evidence(event.membership),
        "backend": None if event.process is None else _process(event.process),
        **({} if event.reason is None else {"reason": event.reason}),
        **({} if event.ticket is None else {"ticket": event.ticket}),
    }


def _process(process: ServerProcess) -> dict[str, object]:
    return {"pid": process.pid, "started_at": time_text(process.started), "server": _instance(process.instance)}


def _instance(instance: ServerInstance) -> dict[str, object]:
    return {
        "system": instance.system,
        "started_at": time_text(instance.started),
        "timeline": instance.timeline,
        "standby": instance.standby,
        "endpoint": instance.endpoint,
    }


def _evidence(evidence: Evidence) -> dict[str, object]:
    return {
        "group": evidence.group,
        "role": evidence.role,
        "source": evidence.source,
        "checked_at": time_text(evidence.checked_at),
    }


def _ended(event: SessionEnded) -> dict[str, object]:
    return {
        "reason": event.reason,
        "detail": event.detail,
        "executions": event.executions,
        "proof": None if event.proof is None else _proof(event.proof),
    }


def _proof(proof: Proof) -> dict[str, object]:
    return {
        "cancel_sent": proof.cancel_sent,
        "terminate_sent": proof.terminate_sent,
        "gone": proof.gone,
        "by": proof.by,
        "server": None if proof.server is None else _instance(proof.server),
        "checked_at": time_text(proof.checked_at),
        "took_ms": proof.took_ms,
        "error": proof.error,
    }


def _window_opened(event: WindowOpened) -> dict[str, object]:
    return {
        "identity": _identity(event.identity),
        "policy": event.policy,
        "policy_version": event.policy_version,
        "window": {**_window(event.window), "retry_at": time_text(event.window.retry_at)},
        "connection": event.window.connection,
        "source": event.source,
        "reason": event.reason,
    }


def _window_ended(event: WindowEnded | WindowEnding) -> dict[str, object]:
    return {
        "identity": {"tid": event.window.identity.tid, "oid": event.window.identity.oid},
        "policy": event.window.policy,
        "window": _window(event.window),
        "connection": event.window.connection,
        "reason": event.reason,
        "sessions": event.sessions,
    }


def _gap(event: JournalGap) -> dict[str, object]:
    return {name: getattr(event, name) for name in ("reason", "expected", "expected_sha256", "found")}


def _left_behind(event: BackendRemains | BackendGone) -> dict[str, object]:
    return {
        "identity": {"tid": event.window.identity.tid, "oid": event.window.identity.oid},
        "policy": event.window.policy,
        "window": _window(event.window),
        "session": event.session_id,
        "connection": event.window.connection,
        "backend": _process(event.process),
        "proof": _proof(event.proof),
    }


def _api_called(event: ApiCalled) -> dict[str, object]:
    plain = {name: getattr(event, name) for name in ("role", "method", "path", "target", "source")}
    return {"identity": _identity(event.identity), **plain}


def _login_refused(event: LoginRefused) -> dict[str, object]:
    return {
        "identity": None if event.identity is None else _identity(event.identity),
        "source": event.source,
        "reference": event.reference,
        "sqlstate": event.sqlstate,
        "reason": event.reason,
        "startup_user": event.startup_user,
        "startup_database": event.startup_database,
        "count": event.count,
    }


def _identity(identity: Identity) -> dict[str, object]:
    return {
        "tid": identity.key.tid,
        "oid": identity.key.oid,
        "app_id": identity.app_id,
        "kind": identity.kind.value,
        "display": identity.display,
        "token_id": identity.token_id,
        "blueprint_id": identity.blueprint_id,
        "on_behalf_of": identity.on_behalf_of,
        "credential": None if identity.credential is None else identity.credential.value,
        "acrs": sorted(identity.acrs),
    }


def _window(window: Window) -> dict[str, object]:
    return {"id": window.id, "opened_at": time_text(window.opened_at), "ends_at": time_text(window.ends_at)}


_OF_VIOLATION = ("rule", "message", "detail", "hint", "position", "sqlstate", "statement")


def _violation(found: Violation) -> dict[str, object]:
    objects = [{"object": each.sort, "name": each.text} for each in found.objects[:20]]
    return {**{key: getattr(found, key) for key in _OF_VIOLATION}, "objects": objects, "entry": found.entry}
