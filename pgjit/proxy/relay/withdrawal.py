"""Withdraws a plan whose records the journal cannot take: every request that runs something is refused.

Requests that run nothing stay as they are. The others are replaced by a text that the server must reject.
"""

from __future__ import annotations

from collections.abc import Callable

from pgjit.errors import JournalUnavailable, PgjitError
from pgjit.proxy.relay.client_plan import ClientPlan
from pgjit.proxy.relay.rejection import Rejection, rejected_parse, rejected_query
from pgwire.state import RequestKind

__all__ = ["withdrawn"]


def withdrawn(plan: ClientPlan, new_rejection: Callable[[PgjitError], Rejection]) -> bytes:
    """Returns the bytes to send in place of the plan's, and refuses its requests."""
    data: list[bytes] = []
    for item in plan.each:
        request = item.request
        if not item.executes or request is None:
            data.append(item.data)
            continue
        rejection = new_rejection(JournalUnavailable())
        request.refuse(rejection)
        request.runs = []
        if request.kind in (RequestKind.QUERY, RequestKind.FUNCTION_CALL):
            request.kind = RequestKind.QUERY
            data.append(rejected_query(rejection))
        else:
            request.kind = RequestKind.PARSE
            request.changes = ()
            data.append(rejected_parse(rejection))
    return b"".join(data)
