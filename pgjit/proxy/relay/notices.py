"""Notices of pgjit to its client: at the login, and before the end. Pure.

Decides what they say, whether the client wants them, and when one may be sent. pgjit sends one only where PostgreSQL
itself may send a NoticeResponse: between two messages of the server. During a COPY it sends none.

A client wants none with `pgjit.notices=off` in its options, or while `client_min_messages` is above `notice`. The
server does not report that setting. So its value is taken from the startup message and from the statements that run;
after a value that is no constant, no notice is sent. Neither a default of the login role nor the return to an earlier
value by ROLLBACK is seen.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from pgjit.errors import utc_text
from pgjit.grants.window import Window
from pgjit.policy.allowed import allowed_by, lines_of
from pgjit.policy.policy import Policy
from pgjit.proxy.relay.named_values import ExecutedStatement
from pgwire.messages.query import error_response

__all__ = ["BEFORE_END", "Notices", "end_notice", "login_notice"]

BEFORE_END = (timedelta(minutes=5), timedelta(minutes=1))
_LEVEL = "client_min_messages"
_SHOWN = frozenset({"debug", "debug1", "debug2", "debug3", "debug4", "debug5", "log", "notice"})
"""Values of `client_min_messages` with which PostgreSQL sends notices."""
_LOCAL = re.compile(r"\s*set\s+local\b", re.IGNORECASE)
_LONGEST = 200  # of the line that says what is allowed
_SEE = "see SHOW pgjit.allowed"
_SECOND = timedelta(seconds=1)


class Notices:
    """Whether the client wants notices now."""

    def __init__(self, level: str | None = None, *, off: bool = False) -> None:
        """`level`: `client_min_messages` of the startup message."""
        self._off = off
        self._first = self._level = "notice" if level is None else level.lower()
        self._local: str | None = None  # until the end of the transaction

    def wanted(self, transaction_status: str = "I") -> bool:
        if transaction_status == "I":
            self._local = None
        return not self._off and (self._local or self._level) in _SHOWN

    def note(self, executed: ExecutedStatement) -> None:
        """A statement is sent to the server: it may set the level."""
        statement = executed.statement
        if statement is None:
            return
        if statement.kind == "discard" and "all" in statement.text.lower().split():
            self._level, self._local = self._first, None
        for setting in statement.settings:
            if not setting.everything and setting.name != _LEVEL:
                continue
            back = setting.everything or setting.back
            value = self._first if back else (setting.value or "").lower()
            if _LOCAL.match(statement.text):
                self._local = value
            else:
                self._level, self._local = value, None


def login_notice(window: Window, policy: Policy, ends_at: datetime, now: datetime) -> bytes:
    """Between AuthenticationOk and ReadyForQuery."""
    return _notice(
        "window-open",
        f"window {window.id} is open until {utc_text(ends_at)}, for {max(timedelta(), ends_at - now) // _SECOND} s",
        _allowed(policy),
        "See SHOW pgjit.allowed, pgjit.limits and pgjit.remaining; `-c pgjit.notices=off` leaves notices out.",
    )


def _allowed(policy: Policy) -> str:
    """Access and relations in one line. A relation is named whole, or not at all."""
    allowed = allowed_by(policy)
    mode = ", mode observe" if allowed.observes else ""
    head = f"Policy `{policy.name}`: access {allowed.access.value}{mode}; relations "
    relations = "; ".join(text for topic, text in lines_of(allowed) if topic == "relations") or "none"
    if len(head) + len(relations) < _LONGEST:
        return f"{head}{relations}."
    room = max(0, _LONGEST - len(head) - len(f" and more, {_SEE}."))
    start = relations[: max(relations.rfind(", ", 0, room), relations.rfind("; ", 0, room), 0)]
    if ": " in relations and ": " not in start.rpartition("; ")[2]:  # kinds of statements, and no relation of theirs
        start = start.rpartition("; ")[0]
    return f"{head}{start} and more, {_SEE}." if start else f"{head}{_SEE}."


def end_notice(window: Window, ends_at: datetime, now: datetime) -> bytes:
    """Before the end of the session. Plain ASCII: `access: full` may have changed `client_encoding`."""
    minutes = max(1, round((ends_at - now) / timedelta(minutes=1)))
    return _notice(
        "window-ends",
        f"session ends in {minutes} minute{'s' if minutes > 1 else ''}, at {utc_text(ends_at)}",
        "Running statements are cancelled then, and an open transaction is rolled back.",
        f"Finish and commit your work. A new window may be requested from {utc_text(window.retry_at)}.",
    )


def _notice(reference: str, message: str, detail: str, hint: str) -> bytes:
    severity = {"S": "NOTICE", "V": "NOTICE", "C": "00000"}
    return error_response({**severity, "M": message, "D": detail, "H": hint, "R": f"pgjit:{reference}"}, notice=True)
