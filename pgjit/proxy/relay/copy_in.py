"""COPY from the client: which of its messages are data, and what has to wait. Pure.

What a client sends behind a statement that may ask for data means one thing if the server does ask and another if it
does not: a Sync is ignored or answered, data is taken or dropped. So nothing is sent on behind such a statement
until the server has answered it; then both sides know the same.
"""

from __future__ import annotations

from pgjit.errors import ProtocolFault
from pgjit.proxy.relay.client_plan import ClientPlan, Planned
from pgjit.proxy.relay.in_flight import InFlight, Run
from pgjit.proxy.relay.transitions import COPY, CopyState
from pgwire.framing import CONTINUED, Frame
from pgwire.messages.copy import decode_copy_fail, encode_copy_fail
from pgwire.reader import BodyReader, message
from pgwire.state import RequestKind

__all__ = ["CopyIn"]

_FLUSH = message(b"H")
_NONE, _IN_DATA = CopyState.NONE, CopyState.IN_DATA
_MOST_SYNCS = 100


class CopyIn:
    """The COPY from the client of one session."""

    def __init__(self) -> None:
        self.state = _NONE
        self._offered: InFlight | None = None  # the request that may ask for data: what follows it waits
        self._run: Run | None = None  # the execution that takes the data
        self._passes_rest = False  # the data message that came in part goes on: so does its rest
        self._syncs = 0  # Syncs that were ignored since there was data

    @property
    def active(self) -> bool:
        """The server takes data now."""
        return self.state is not _NONE

    @property
    def waits(self) -> bool:
        """What the client sends next has to wait for the server's answer."""
        offered = self._offered
        return offered is not None and self.state is _NONE and offered.may_copy_in

    def offer(self, plan: ClientPlan, request: InFlight) -> None:
        """`request` was sent: if it may ask for data, the client's next messages wait from here on."""
        if not request.may_copy_in:
            return
        self._offered = request
        if request.kind is not RequestKind.QUERY:
            # The Sync that follows waits as well, so a Flush makes the server answer.
            plan.items.append(Planned(_FLUSH))

    def begin(self, head: InFlight) -> bool:
        """The server asks for data on behalf of `head`. False: nothing in that request may do so."""
        run = head.current
        if run is None and head.unread:
            run = head.runs[-1]  # an unread text may have any number of statements
        if run is None or not (run.copies_in or head.unread):
            return False
        run.copies_in = False
        self._run = run
        self._syncs = 0
        self.state = CopyState.BEGUN
        return True

    def stop(self) -> int:
        """The server takes no more data: an error came, or the statement is complete.

        Returns how many Syncs the server has yet to see: those behind the data that it did not like, which were
        ignored here while it still seemed to copy. A Sync before any data was ignored by the server as well.
        """
        if self.state is _NONE:
            return 0
        self._end()
        return self._syncs

    def _end(self) -> None:
        self.state = _NONE
        self._run = None

    def takes(self, plan: ClientPlan, frame: Frame) -> bool:
        """Deal with `frame` if it is the COPY's. Raises RemoteProtocolError for a malformed one."""
        if frame.kind == CONTINUED:
            if self._passes_rest:
                self._pass_on(plan, frame)
            return True
        if self.state is _NONE:
            self._passes_rest = False
            return frame.kind in COPY[_NONE]  # dropped
        following = COPY[self.state].get(frame.kind)
        if following is None:
            plan.fault = ProtocolFault(f"unexpected message type 0x{frame.kind:02X} during COPY from stdin")
            return True
        match chr(frame.kind):
            case "d":
                self._passes_rest = True
                self._syncs = 0
                self._pass_on(plan, frame)
            case "c":
                BodyReader(frame.body).end()
                self._finish(plan, frame)
            case "f":
                decode_copy_fail(frame.body)
                self._finish(plan, frame)
            case "X":
                return False
            case _:  # Flush and Sync: the server would ignore them
                BodyReader(frame.body).end()
                self._ignore(plan, frame)
        self.state = following
        return True

    def _pass_on(self, plan: ClientPlan, frame: Frame) -> None:
        if self._run is not None:
            self._run.received += len(frame.raw)
        plan.items.append(Planned(frame.raw))

    def _finish(self, plan: ClientPlan, frame: Frame) -> None:
        self._end()
        self._passes_rest = False
        plan.items.append(Planned(frame.raw))

    def _ignore(self, plan: ClientPlan, frame: Frame) -> None:
        if frame.kind == 0x53 and self.state is _IN_DATA:
            self._syncs += 1
            if self._syncs > _MOST_SYNCS:
                plan.fault = ProtocolFault("too many Sync messages during COPY from stdin")

    def give_up(self, why: bytes) -> bytes:
        """What ends a COPY under way from our side, between two data messages: nothing of it is kept."""
        return encode_copy_fail(why) if self.active else b""
