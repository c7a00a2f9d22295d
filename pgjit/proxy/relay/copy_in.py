"""COPY from the client: which of its messages are data, and what has to wait. Pure.

What a client sends behind a statement that may ask for data means one thing if the server does ask and another if it
does not: a Sync is ignored or answered, data is taken or dropped. So nothing is sent on behind such a statement
until the server has answered it; then both sides know the same.
"""

from __future__ import annotations

from pgjit.errors import ProtocolFault
from pgjit.proxy.relay.in_flight import ClientPlan, InFlight, Planned, Run
from pgwire.framing import CONTINUED, Frame
from pgwire.messages.copy import decode_copy_fail, encode_copy_fail
from pgwire.reader import BodyReader, message
from pgwire.state import FRONTEND, Phase, RequestKind

__all__ = ["CopyIn"]

_FLUSH = message(b"H")
_DATA = frozenset(b"dcf")
_MOST_SYNCS = 100


class CopyIn:
    """Where a session stands with COPY from its client."""

    def __init__(self) -> None:
        self._offered: InFlight | None = None  # may ask for data: what follows it waits
        self._taking: Run | None = None  # asked for data, and takes it now
        self._goes_on = False  # of a data message that was sent in part the rest must follow
        self._syncs: int | None = None  # Syncs that were ignored since the last data; None: there was none yet

    @property
    def active(self) -> bool:
        """The server takes data now."""
        return self._taking is not None

    @property
    def waits(self) -> bool:
        """What the client sends next has to wait for the server's answer."""
        return self._taking is None and self._offered is not None and self._offered.may_copy_in

    def offer(self, plan: ClientPlan, pending: InFlight) -> None:
        """`pending` was sent: where it may ask for data, what follows waits from here on."""
        if not pending.may_copy_in:
            return
        self._offered = pending
        if pending.asked is not RequestKind.QUERY:
            # The Sync that follows waits as well, so the answer has to be asked for.
            plan.items.append(Planned(_FLUSH))

    def begin(self, head: InFlight) -> bool:
        """The server asks for data on behalf of `head`. False: nothing there may do that."""
        run = head.current
        if run is None and head.unread:
            run = head.runs[-1]  # of a text that was not read nobody knows how many statements it has
        if run is None or not (run.copies_in or head.unread):
            return False
        run.copies_in = False
        self._taking = run
        self._syncs = None
        return True

    def stop(self) -> int:
        """The server takes no more: an error, or the end of what asked for data.

        How many Syncs it has yet to see: those behind the data that it did not like, which were ignored here
        while it still seemed to copy. A Sync that came before any data was ignored by the server as well.
        """
        unseen = self._syncs or 0 if self._taking is not None else 0
        self._taking = None
        return unseen

    def takes(self, plan: ClientPlan, frame: Frame) -> bool:
        """Deal with `frame` if it is the COPY's. Raises RemoteProtocolError for a malformed one."""
        if frame.kind == CONTINUED:
            if self._goes_on:
                self._pass_on(plan, frame)
            return True
        if self._taking is None:
            self._goes_on = False
            # Outside COPY, data and its ends are dropped, as PostgreSQL does.
            return frame.kind in _DATA
        if frame.kind not in FRONTEND[Phase.COPYING]:
            plan.fault = ProtocolFault(f"unexpected message type 0x{frame.kind:02X} during COPY from stdin")
            return True
        match chr(frame.kind):
            case "d":
                self._goes_on = True
                self._syncs = 0
                self._pass_on(plan, frame)
            case "c":
                BodyReader(frame.body).end()
                self._ends(plan, frame)
            case "f":
                decode_copy_fail(frame.body)
                self._ends(plan, frame)
            case "X":
                return False
            case _:  # Flush and Sync: the server would ignore them
                BodyReader(frame.body).end()
                if frame.kind == 0x53 and self._syncs is not None:
                    self._syncs += 1
                    if self._syncs > _MOST_SYNCS:
                        plan.fault = ProtocolFault("too many Sync messages during COPY from stdin")
        return True

    def _pass_on(self, plan: ClientPlan, frame: Frame) -> None:
        if self._taking is not None:
            self._taking.received += len(frame.raw)
        plan.items.append(Planned(frame.raw))

    def _ends(self, plan: ClientPlan, frame: Frame) -> None:
        self._taking = None
        self._goes_on = False
        plan.items.append(Planned(frame.raw))

    def give_up(self, why: bytes) -> bytes:
        """What ends a COPY under way from our side, between two data messages: nothing of it is kept."""
        return encode_copy_fail(why) if self.active else b""
