"""Where a session stands, as tables: each request, the client's messages, the server's stream, COPY, the end. Pure.

Four enums name the states, four tables the transitions: state, then event, then the next state. A missing entry is
the error: a `KeyError` here is a fault of pgjit, for `client_side.py` and `server_side.py` check first what the other
side sends. Which message is legal outside of COPY is `pgwire/state.py`'s.
"""

from __future__ import annotations

from enum import Enum

__all__ = [
    "COPY",
    "END",
    "INPUT",
    "REQUEST",
    "STREAM",
    "CopyState",
    "EndEvent",
    "EndState",
    "InFlightState",
    "InputEvent",
    "InputState",
    "RequestEvent",
    "StreamEvent",
    "StreamState",
]  # fmt: skip


class _State(Enum):
    # A member equals itself alone. Enum's own hash is a call of Python for each look into a table.
    __hash__ = object.__hash__


class InFlightState(_State):
    """The states of a request, from its bytes to the last message of its answer."""

    SENT = "sent"
    REFUSED = "refused"  # the server got a text in its place that it must reject
    CUT = "cut"  # the result of its current statement is over a limit: the rest is not passed on
    FAILED = "failed"  # the server answered with an error; of a Query, ReadyForQuery is still to come
    DONE = "done"  # answered to the end, or passed over: no answer will come


class RequestEvent(_State):
    REFUSE = "refuse"  # perhaps late, by the journal: in between the server may have sent anything
    OVER_LIMIT = "over a limit"
    COMPLETED = "completed"  # one statement of it, all the same
    ERROR = "error"
    LAST_ANSWER = "last answer"
    PASSED_OVER = "passed over"  # it comes behind an error, before the next Sync


REQUEST: dict[InFlightState, dict[RequestEvent, InFlightState]] = {
    InFlightState.SENT: {
        RequestEvent.REFUSE: InFlightState.REFUSED,
        RequestEvent.OVER_LIMIT: InFlightState.CUT,
        RequestEvent.COMPLETED: InFlightState.SENT,
        RequestEvent.ERROR: InFlightState.FAILED,
        RequestEvent.LAST_ANSWER: InFlightState.DONE,
        RequestEvent.PASSED_OVER: InFlightState.DONE,
    },
    # INVARIANT: a refused request can only fail. Any other answer ends the session.
    InFlightState.REFUSED: {
        RequestEvent.REFUSE: InFlightState.REFUSED,
        RequestEvent.ERROR: InFlightState.FAILED,
        RequestEvent.PASSED_OVER: InFlightState.DONE,
    },
    InFlightState.CUT: {
        RequestEvent.REFUSE: InFlightState.REFUSED,
        RequestEvent.COMPLETED: InFlightState.SENT,
        RequestEvent.ERROR: InFlightState.FAILED,
        RequestEvent.LAST_ANSWER: InFlightState.DONE,
    },
    InFlightState.FAILED: {
        RequestEvent.REFUSE: InFlightState.FAILED,
        RequestEvent.COMPLETED: InFlightState.FAILED,
        RequestEvent.ERROR: InFlightState.FAILED,
        RequestEvent.LAST_ANSWER: InFlightState.DONE,
        RequestEvent.PASSED_OVER: InFlightState.DONE,
    },
    InFlightState.DONE: {RequestEvent.REFUSE: InFlightState.DONE},
}


class InputState(_State):
    """The states of the client's messages."""

    FORWARDED = "forwarded"
    SKIPPED = "skipped"  # the server passes over it, up to the next Sync: it is not sent


class InputEvent(_State):
    REFUSED = "refused"  # a message of the extended protocol: the server is certain to answer with an error
    ERROR = "error"  # from the server, and no Sync is on the way to it
    SYNC = "sync"


INPUT: dict[InputState, dict[InputEvent, InputState]] = {
    InputState.FORWARDED: {
        InputEvent.REFUSED: InputState.SKIPPED,
        InputEvent.ERROR: InputState.SKIPPED,
        InputEvent.SYNC: InputState.FORWARDED,
    },
    InputState.SKIPPED: {
        InputEvent.REFUSED: InputState.SKIPPED,
        InputEvent.ERROR: InputState.SKIPPED,
        InputEvent.SYNC: InputState.FORWARDED,
    },
}


class StreamState(_State):
    """The states of the server's stream."""

    FOLLOWING = "following"
    DISCARDING = "discarding"  # the client read an error of pgjit's: the rest up to ReadyForQuery is not passed on
    DESYNCHRONISED = "desynchronised"  # the server broke the protocol: nothing that it still sends is read


class StreamEvent(_State):
    ERROR_OF_OURS = "error of ours"  # in place of the end of a result that the server had completed
    READY = "ready"
    FAULT = "fault"


STREAM: dict[StreamState, dict[StreamEvent, StreamState]] = {
    StreamState.FOLLOWING: {
        StreamEvent.ERROR_OF_OURS: StreamState.DISCARDING,
        StreamEvent.READY: StreamState.FOLLOWING,
        StreamEvent.FAULT: StreamState.DESYNCHRONISED,
    },
    StreamState.DISCARDING: {
        StreamEvent.READY: StreamState.FOLLOWING,
        StreamEvent.FAULT: StreamState.DESYNCHRONISED,
    },
    StreamState.DESYNCHRONISED: {},
}


class CopyState(_State):
    """The states of COPY from the client."""

    NONE = "none"
    BEGUN = "begun"  # the server takes data, and has had none yet
    IN_DATA = "in data"


COPY: dict[CopyState, dict[int, CopyState]] = {
    # Outside COPY, data and its ends are dropped, as PostgreSQL does.
    CopyState.NONE: dict.fromkeys(b"dcf", CopyState.NONE),
    CopyState.BEGUN: {ord("d"): CopyState.IN_DATA, **dict.fromkeys(b"cf", CopyState.NONE),
                      **dict.fromkeys(b"HSX", CopyState.BEGUN)},
    CopyState.IN_DATA: {ord("d"): CopyState.IN_DATA, **dict.fromkeys(b"cf", CopyState.NONE),
                        **dict.fromkeys(b"HSX", CopyState.IN_DATA)},
}  # fmt: skip
"""By the type of the client's message. The server begins a COPY and ends it, in any state."""


class EndState(_State):
    """The states of the session's end."""

    OPEN = "open"
    ENDING = "ending"  # by pgjit: the server's own farewell is not passed on
    STOPPED = "stopped"  # ending, and the server reported that what was running did not come to its end
    CLOSED_BY_SERVER = "closed by the server"


class EndEvent(_State):
    BEGIN = "begin"
    STOPPED = "stopped"
    FATAL = "fatal"  # from the server, of its own


END: dict[EndState, dict[EndEvent, EndState]] = {
    EndState.OPEN: {EndEvent.BEGIN: EndState.ENDING, EndEvent.FATAL: EndState.CLOSED_BY_SERVER},
    EndState.ENDING: {EndEvent.STOPPED: EndState.STOPPED},
    EndState.STOPPED: {EndEvent.STOPPED: EndState.STOPPED},
    EndState.CLOSED_BY_SERVER: {
        EndEvent.BEGIN: EndState.ENDING,
        EndEvent.FATAL: EndState.CLOSED_BY_SERVER,
    },
}
