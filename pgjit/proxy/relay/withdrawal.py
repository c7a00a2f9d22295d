"""A plan whose records the journal cannot take: everything in it that runs something is refused.

What runs nothing stays, the rest the server must reject, in its place.
"""

from __future__ import annotations

from collections.abc import Callable

from pgjit.errors import JournalUnavailable, PgjitError
from pgjit.proxy.relay.in_flight import ClientPlan
from pgjit.proxy.relay.rejection import Refusal, rejected_parse, rejected_query
from pgwire.state import RequestKind

__all__ = ["withdrawn"]


def withdrawn(plan: ClientPlan, refusal: Callable[[PgjitError], Refusal]) -> bytes:
    """The bytes to send in place of the plan's; its requests are changed accordingly."""
    data: list[bytes] = []
    for item in plan.items:
        request = item.request
        if not item.executes or request is None:
            data.append(item.data)
            continue
        rejection = refusal(JournalUnavailable())
        request.refuse(rejection)
        request.runs = []
        if request.asked in (RequestKind.QUERY, RequestKind.FUNCTION_CALL):
            request.asked = RequestKind.QUERY
            data.append(rejected_query(rejection))
        else:
            request.asked = RequestKind.PARSE
            request.changes = ()
            data.append(rejected_parse(rejection))
    return b"".join(data)
