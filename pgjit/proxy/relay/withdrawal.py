"""A plan whose records the journal cannot take: everything in it that runs something is refused.

What runs nothing stays, the rest the server must reject, in its place.
"""

from __future__ import annotations

from collections.abc import Callable

from pgjit.errors import JournalUnavailable, PgjitError
from pgjit.proxy.relay.in_flight import ClientPlan
from pgjit.proxy.relay.rejection import Refusal, poison_parse, poison_query
from pgwire.state import RequestKind

__all__ = ["withdrawn"]


def withdrawn(plan: ClientPlan, refusal: Callable[[PgjitError], Refusal]) -> bytes:
    """The bytes to send in place of the plan's; its requests are changed accordingly."""
    data: list[bytes] = []
    for item in plan.items:
        pending = item.pending
        if not item.executes or pending is None:
            data.append(item.data)
            continue
        pending.refusal = refusal(JournalUnavailable())
        pending.runs = []
        pending.unread = False
        if pending.asked in (RequestKind.QUERY, RequestKind.FUNCTION_CALL):
            pending.asked = RequestKind.QUERY
            data.append(poison_query(pending.refusal))
        else:
            pending.asked = RequestKind.PARSE
            pending.changes = ()
            data.append(poison_parse(pending.refusal))
    return b"".join(data)
