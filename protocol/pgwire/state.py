"""Which message may come when, as tables. A missing entry is the error.

Knows types, not contents. `FRONTEND` is what a client may send, `ANSWERS` what the server may answer to the
message that it is dealing with (PostgreSQL documentation, "Message Flow").
"""

from __future__ import annotations

from enum import Enum

__all__ = ["ANSWERS", "ANYTIME", "FRONTEND", "Asked", "Phase"]


class Phase(Enum):
    """Where the client's side of a connection stands."""

    PASSWORD = "password"  # noqa: S105 - the phase in which one is awaited
    READY = "ready"


FRONTEND: dict[Phase, frozenset[int]] = {
    Phase.PASSWORD: frozenset(b"p"),
    # CopyData, CopyDone and CopyFail outside COPY are read and dropped, as PostgreSQL does: a client may
    # still be sending them when the server has already refused its COPY.
    Phase.READY: frozenset(b"QPBDECHSFXdcf"),
}


class Asked(Enum):
    """A request that the server has yet to answer to the end."""

    QUERY = "query"
    PARSE = "parse"
    BIND = "bind"
    DESCRIBE_STATEMENT = "describe statement"
    DESCRIBE_PORTAL = "describe portal"
    EXECUTE = "execute"
    CLOSE = "close"
    SYNC = "sync"


ANYTIME = frozenset(b"SNA")
"""ParameterStatus, NoticeResponse, NotificationResponse."""

ANSWERS: dict[Asked, frozenset[int]] = {
    Asked.QUERY: frozenset(b"TCIEZHcD"),
    Asked.PARSE: frozenset(b"1E"),
    Asked.BIND: frozenset(b"2E"),
    Asked.DESCRIBE_STATEMENT: frozenset(b"tTnE"),
    Asked.DESCRIBE_PORTAL: frozenset(b"TnE"),
    Asked.EXECUTE: frozenset(b"CIsEHcD"),
    Asked.CLOSE: frozenset(b"3E"),
    Asked.SYNC: frozenset(b"ZE"),
}
