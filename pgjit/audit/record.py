"""How an event is written: as one line of JSON, whatever it contains. Pure.

Decides the name of a record. The names and the order of its members are decided in `statement_record.py`,
`session_record.py`, `window_record.py` and `review_record.py`. Does not know where lines go. The members for
identity, policy and window come first and in a fixed order, so that a line reads well in a terminal.

No content can break a line, control a terminal or hide from a reader: JSON escapes the control characters up to 0x1F,
and `invisible_characters.py` the other characters that are not shown.
"""

from __future__ import annotations

from pgjit.audit.event import (
    ApiCalled,
    BackendGone,
    BackendRemains,
    Event,
    Execution,
    JournalGap,
    LoginRefused,
    Outcome,
    PolicyDiffers,
    ServiceStarted,
    ServiceStopped,
    SessionEnded,
    SessionOpened,
    StoreRestored,
    WindowEnded,
    WindowEnding,
    WindowOpened,
    time_of_event,
)
from pgjit.audit.keeping_event import KeepingEvent
from pgjit.audit.keeping_record import keeping_members
from pgjit.audit.record_json import as_members, time_of_nanoseconds, time_text
from pgjit.audit.record_members import balancer_member, identity_member
from pgjit.audit.redaction.salts import SaltSource
from pgjit.audit.reload_event import ReloadEvent
from pgjit.audit.reload_record import reload_members
from pgjit.audit.review_event import ReviewEvent
from pgjit.audit.review_record import review_members
from pgjit.audit.session_record import ended_members, left_behind_members, opened_members, session_heads
from pgjit.audit.statement_record import execution_members, outcome_members
from pgjit.audit.window_record import window_ended_members, window_opened_members

__all__ = ["VERSION", "render", "time_text"]

VERSION = 1
"""`v` of every record: of its members and their meaning, as in `docs/journal.md`."""

_VERSION = f'{{"v":{VERSION},"seq":'


def render(event: Event, seq: int, salts: SaltSource | None = None) -> bytes:
    """The record of `event` as line `seq` of its journal, with the newline. `salts`: for policies that redact.

    Raises OSError if the policy redacts, and there is no salt.
    """
    # Those of each statement are put together as text, and encoded once: that takes half the time of bytes.
    if type(event) is Execution:
        heads = event.context.heads
        head, members = (heads[0] if heads else session_heads(event.context))[0], execution_members(event, salts)
    elif type(event) is Outcome:
        heads = event.context.heads
        head, members = (heads[0] if heads else session_heads(event.context))[1], outcome_members(event, salts)
    else:
        return b'{"v":%d,"seq":%d,"time":"%s","type":%s}\n' % (
            VERSION, seq, time_text(time_of_event(event)).encode(), _members(event),
        )  # fmt: skip
    time = time_of_nanoseconds(event.at)
    return f'{_VERSION}{seq},"time":"{time}","type":{head}{event.number}",{members}}}\n'.encode()


def _members(event: Event) -> bytes:
    """The value of `"type"`, and the members that follow."""
    match event:
        case Execution() | Outcome():
            raise AssertionError("it is rendered as text")
        case SessionOpened():
            return b'"session.opened",%s' % as_members(opened_members(event))
        case SessionEnded():
            return b'"session.ended",%s' % as_members(ended_members(event))
        case WindowOpened():
            return b'"window.opened",%s' % as_members(window_opened_members(event))
        case WindowEnding():
            return b'"window.ending",%s' % as_members(window_ended_members(event))
        case WindowEnded():
            return b'"window.ended",%s' % as_members(window_ended_members(event))
        case BackendRemains():
            return b'"backend.remains",%s' % as_members(left_behind_members(event))
        case BackendGone():
            return b'"backend.gone",%s' % as_members(left_behind_members(event))
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
        case PolicyDiffers():
            differs: dict[str, object] = {
                "policy": event.policy,
                "policy_version": event.policy_version,
                "node": event.node,
                "version_there": event.version_there,
            }
            return b'"policy.differs",%s' % as_members(differs)
        case ApiCalled():
            return b'"api.called",%s' % as_members(_api_called(event))
        case KeepingEvent():
            kind, members = keeping_members(event)
            return b'"%s",%s' % (kind.encode(), as_members(members))
        case ReloadEvent():
            kind, members = reload_members(event)
            return b'"%s",%s' % (kind.encode(), as_members(members))
        case ReviewEvent():
            kind, members = review_members(event)
            return b'"%s",%s' % (kind.encode(), as_members(members))


def _gap(event: JournalGap) -> dict[str, object]:
    return {name: getattr(event, name) for name in ("reason", "expected", "expected_sha256", "found")}


def _api_called(event: ApiCalled) -> dict[str, object]:
    plain = {name: getattr(event, name) for name in ("role", "method", "path", "target", "source")}
    status = {} if event.status is None else {"status": event.status}
    return {"identity": identity_member(event.identity), **plain, **status}


def _login_refused(event: LoginRefused) -> dict[str, object]:
    return {
        "identity": None if event.identity is None else identity_member(event.identity),
        "source": event.source,
        "reference": event.reference,
        "sqlstate": event.sqlstate,
        "reason": event.reason,
        "startup_user": event.startup_user,
        "startup_database": event.startup_database,
        "count": event.count,
        **balancer_member(event.balancer),
    }
