"""Which message may come when, as tables. A missing entry is the error.

Knows types, not contents. `FRONTEND` is what a client may send in each phase, `ANSWERS` what the server may answer
to the message that it is dealing with, `FINAL` which of those is the last one (PostgreSQL documentation, "Message
Flow").
"""

from __future__ import annotations

from enum import Enum

__all__ = ["ANSWERS", "ANYTIME", "DATA", "FINAL", "FRONTEND", "Asked", "Phase"]


class Phase(Enum):
    """Where the client's side of a connection stands."""

    PASSWORD = "password"  # noqa: S105 - the phase in which one is awaited
    READY = "ready"
    COPYING = "copying"  # the server answered CopyInResponse and takes data


FRONTEND: dict[Phase, frozenset[int]] = {
    Phase.PASSWORD: frozenset(b"p"),
    # CopyData, CopyDone and CopyFail outside COPY are read and dropped, as PostgreSQL does: a client may
    # still be sending them when the server has already refused its COPY.
    Phase.READY: frozenset(b"QPBDECHSFXdcf"),
    # Flush and Sync are read and ignored, so that a client may send them with the Execute of a COPY.
    Phase.COPYING: frozenset(b"dcfHSX"),
}


class Asked(Enum):
    """A request that the server has yet to answer to the end."""

    QUERY = "query"
    FUNCTION_CALL = "function call"
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
    Asked.QUERY: frozenset(b"TCIEZGHcD"),
    Asked.FUNCTION_CALL: frozenset(b"VEZ"),
    Asked.PARSE: frozenset(b"1E"),
    Asked.BIND: frozenset(b"2E"),
    Asked.DESCRIBE_STATEMENT: frozenset(b"tTnE"),
    Asked.DESCRIBE_PORTAL: frozenset(b"TnE"),
    Asked.EXECUTE: frozenset(b"CIsEGHcD"),
    Asked.CLOSE: frozenset(b"3E"),
    Asked.SYNC: frozenset(b"ZE"),
}

FINAL: dict[Asked, frozenset[int]] = {
    Asked.QUERY: frozenset(b"Z"),
    Asked.FUNCTION_CALL: frozenset(b"Z"),
    Asked.PARSE: frozenset(b"1"),
    Asked.BIND: frozenset(b"2"),
    Asked.DESCRIBE_STATEMENT: frozenset(b"Tn"),
    Asked.DESCRIBE_PORTAL: frozenset(b"Tn"),
    Asked.EXECUTE: frozenset(b"CIs"),
    Asked.CLOSE: frozenset(b"3"),
    Asked.SYNC: frozenset(b"Z"),
}

DATA = frozenset({Asked.QUERY, Asked.EXECUTE})
"""Requests that may be answered with rows: DataRow, CopyData."""
