"""Which message is legal when, as tables (PostgreSQL documentation, "Message Flow"). A missing entry is an error.

`FRONTEND`: what a client may send in each phase. `RESPONSES`: what the server may answer to each kind of request.
`FINAL_RESPONSES`: which of those is the last. Knows the types of messages, not their contents.
"""

from __future__ import annotations

from enum import Enum

__all__ = ["ASYNCHRONOUS", "FINAL_RESPONSES", "FRONTEND", "RESPONSES", "RETURNS_ROWS", "Phase", "RequestKind"]


class Phase(Enum):
    """The phase of a connection, on the client's side."""

    __hash__ = object.__hash__  # as in `RequestKind`

    PASSWORD = "password"  # noqa: S105 - the phase in which the password is awaited
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
    """A message of the client that the server answers."""

    # A member equals only itself. Enum's own hash would call Python code for each look-up in a table.
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
"""ParameterStatus, NoticeResponse, NotificationResponse: they may come at any time."""

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
"""Requests whose responses may include DataRow or CopyData."""
