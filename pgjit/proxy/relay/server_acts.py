"""What a message of the server means to the request at the head of the queue, as tables. Pure.

Decides which messages go the short way of `server_side.py`: those of a request that is answered as it was sent, with
no error. Derived from the tables of `pgwire/state.py`: a message that they do not have is `CHECKED`, and so is each
that needs more than the moves below.
"""

from __future__ import annotations

from typing import Final

from pgwire.state import FINAL_RESPONSES, RESPONSES, RequestKind

__all__ = ["ACTS", "ANSWERED", "CHECKED", "COMPLETED", "PASSED", "READY"]

CHECKED: Final = 0  # errors, notices, settings, COPY from the client, and whatever nothing asked for
PASSED: Final = 1  # the client reads it, and nothing follows from it
ANSWERED: Final = 2  # the last answer to the request, and nothing else
COMPLETED: Final = 3  # a statement has ended
READY: Final = 4  # ReadyForQuery

_COMPLETING = {RequestKind.QUERY: b"CI", RequestKind.EXECUTE: b"CIs"}
_CHECKED = frozenset(b"EGtV")


def _act(request: RequestKind, kind: int) -> int:
    if not kind:
        return PASSED  # it is no message: the chunk ends in data
    if kind not in RESPONSES[request] or kind in _CHECKED:
        return CHECKED
    if kind in _COMPLETING.get(request, b""):
        return COMPLETED
    if kind == 0x5A:
        return CHECKED if request is RequestKind.FUNCTION_CALL else READY
    return ANSWERED if kind in FINAL_RESPONSES[request] else PASSED


ACTS: Final = {request: bytes(_act(request, kind) for kind in range(256)) for request in RequestKind}
"""By the request, and the type byte of the message."""
