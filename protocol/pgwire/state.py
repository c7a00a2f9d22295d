"""Which message may come when, as tables. A missing entry is the error.

Knows types, not contents. `FRONTEND` is what a client may send in each phase, `ANSWERS` what the server may answer
to the message that it is dealing with, `FINAL` which of those is the last one (PostgreSQL documentation, "Message
Flow").
"""

from __future__ import annotations

from enum import Enum

__all__ = ["ASYNCHRONOUS", "FINAL_RESPONSES", "FRONTEND", "RESPONSES", "RETURNS_ROWS", "Phase", "RequestKind"]


class Phase(Enum):
    """Where the client's side of a connection stands."""

    __hash__ = object.__hash__  # as of `Asked`

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


class RequestKind(Enum):
    """A request that the server has yet to answer to the end."""

    # A member equals itself alone. Enum's own hash is a call of Python for each look into a table.
    __hash__ = object.__hash__

    QUERY = "query"
    FUNCTION_CALL = "function call"
    PARSE = "parse"
    BIND = "bind"
    DESCRIBE_STATEMENT = "describe statement"
    DESCRIBE_PORTAL = "describe portal"
    EXECUTE = "execute"
    CLOSE = "close"
    SYNC = "sync"


ASYNCHRONOUS = frozenset(b"SNA")
"""ParameterStatus, NoticeResponse, NotificationResponse."""

RESPONSES: dict[RequestKind, frozenset[int]] = {
    RequestKind.QUERY: frozenset(b"TCIEZGHcD"),
    RequestKind.FUNCTION_CALL: frozenset(b"VEZ"),
    RequestKind.PARSE: frozenset(b"1E"),
    RequestKind.BIND: frozenset(b"2E"),
    RequestKind.DESCRIBE_STATEMENT: frozenset(b"tTnE"),
    RequestKind.DESCRIBE_PORTAL: frozenset(b"TnE"),
    RequestKind.EXECUTE: frozenset(b"CIsEGHcD"),
    RequestKind.CLOSE: frozenset(b"3E"),
    RequestKind.SYNC: frozenset(b"ZE"),
}

FINAL_RESPONSES: dict[RequestKind, frozenset[int]] = {
    RequestKind.QUERY: frozenset(b"Z"),
    RequestKind.FUNCTION_CALL: frozenset(b"Z"),
    RequestKind.PARSE: frozenset(b"1"),
    RequestKind.BIND: frozenset(b"2"),
    RequestKind.DESCRIBE_STATEMENT: frozenset(b"Tn"),
    RequestKind.DESCRIBE_PORTAL: frozenset(b"Tn"),
    RequestKind.EXECUTE: frozenset(b"CIs"),
    RequestKind.CLOSE: frozenset(b"3"),
    RequestKind.SYNC: frozenset(b"Z"),
}

RETURNS_ROWS = frozenset({RequestKind.QUERY, RequestKind.EXECUTE})
"""Requests that may be answered with rows: DataRow, CopyData."""
