"""The values of the relay: a request that the server has yet to answer, and its executions.

Decides nothing. `send_queue.py` keeps the requests; `transitions.py` has the states of one.
"""

from __future__ import annotations

from dataclasses import dataclass

from pgjit.audit.event import Execution
from pgjit.audit.results.capture import ResultCapture
from pgjit.proxy.relay.named_values import Change, Portal, Prepared
from pgjit.proxy.relay.rejection import Rejection
from pgjit.proxy.relay.transitions import REQUEST, InFlightState, RequestEvent
from pgwire.state import RequestKind

__all__ = ["InFlight", "Run"]

_DONE = InFlightState.DONE


class Run:
    """One execution, from its record to its outcome."""

    number: int
    started: int  # as all times: nanoseconds since 1970
    changes: tuple[Change, ...] = ()
    prepared: Prepared | None = None  # in the extended protocol
    copies_out: bool = False
    copies_in: bool = False  # the server may answer it with CopyInResponse
    rows: int = 0
    size: int = 0
    first_row: int | None = None  # when it came
    own: bool = False  # pgjit itself answers it: it counts against no limit
    received: int = 0  # bytes of COPY data that the client sent for it
    formats: tuple[int, ...] | None = None  # of its result, as its Bind has them
    capture: ResultCapture | None = None  # under `record: results`
    execution: Execution | None = None  # as it was recorded: lists of sessions show what runs

    def __init__(self, number: int, started: int) -> None:
        # What has a default is left to the class: every execution makes one.
        self.number = number
        self.started = started


@dataclass(slots=True, init=False)
class InFlight:
    """A request that the server has yet to answer. A Query holds a run for each of its statements."""

    kind: RequestKind
    runs: list[Run]
    segment: int  # an error passes over what follows it in the same segment, up to Sync
    at: int  # the run that the server is dealing with
    changes: tuple[Change, ...]  # by the message itself, beside those of its runs
    state: InFlightState
    rejection: Rejection | None
    describes: Prepared | None  # the statement of a Describe
    unread: bool  # a Query whose text was not parsed: it may have more statements than runs
    size: int  # bytes of its message; what is kept for it takes no more, but for the records

    def __init__(
        self,
        kind: RequestKind,
        runs: list[Run] | None = None,
        segment: int = 0,
        at: int = 0,
        changes: tuple[Change, ...] = (),
        state: InFlightState = InFlightState.SENT,
        rejection: Rejection | None = None,
        describes: Prepared | None = None,
        unread: bool = False,
        size: int = 0,
    ) -> None:
        self.kind = kind
        self.runs = [] if runs is None else runs
        self.segment = segment
        self.at = at
        self.changes = changes
        self.state = state
        self.rejection = rejection
        self.describes = describes
        self.unread = unread
        self.size = size

    def move(self, event: RequestEvent) -> None:
        self.state = REQUEST[self.state][event]

    def refuse(self, rejection: Rejection) -> None:
        """The server gets a text in its place that it must reject."""
        self.rejection = rejection
        self.unread = False
        self.move(RequestEvent.REFUSE)

    @property
    def answered(self) -> bool:
        """The server has finished with it, or never will begin."""
        return self.state is _DONE

    @property
    def current(self) -> Run | None:
        return self.runs[self.at] if self.at < len(self.runs) else None

    @property
    def may_copy_out(self) -> bool:
        """Whether the server may be sending the data of a COPY."""
        return self.unread or any(run.copies_out for run in self.runs)

    @property
    def may_copy_in(self) -> bool:
        """Whether the server may still answer it with CopyInResponse."""
        if self.state is _DONE:
            return False
        return self.unread or any(run.copies_in for run in self.runs[self.at :])

    @property
    def brings(self) -> Prepared | Portal | None:
        """What a Parse or a Bind makes under its name."""
        return self.changes[0].value if self.kind in (RequestKind.PARSE, RequestKind.BIND) and self.changes else None

    def all_changes(self) -> tuple[Change, ...]:
        changes = self.changes
        for run in self.runs[self.at :]:
            changes += run.changes
        return changes
