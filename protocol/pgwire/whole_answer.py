"""The answer to one execution, read as a whole where it comes in one piece.

Most answers do: what acknowledges Parse and Bind, a description, rows, CommandComplete and ReadyForQuery. They are
read here with one step a message, and without an object for each. Whatever is not exactly that is left to
`framing.py`.
"""

from __future__ import annotations

import struct
from typing import Final

from pgwire.messages.query import ready_for_query

__all__ = ["WholeAnswer", "read_whole_answer"]

WholeAnswer = tuple[int, int, str, str]
"""How many rows it has, with how many bytes; the command tag; the transaction status."""

_HEADER: Final = 5
_KIND_AND_LENGTH = struct.Struct("!BI").unpack_from
_STATUSES: Final = {ready_for_query(status.encode()): status for status in "ITE"}
_READY_BYTES: Final = 6


def read_whole_answer(data: bytes, acknowledged: bytes, then: bytes) -> WholeAnswer | None:
    """None if `data` is anything else than such an answer.

    `acknowledged`: the messages that it must begin with. `then`: the types of which the next message must be one.
    """
    at, last = len(acknowledged), len(data) - _READY_BYTES
    if at + _HEADER > last or not data.startswith(acknowledged) or (status := _STATUSES.get(data[last:])) is None:
        return None
    kind, length = _KIND_AND_LENGTH(data, at)
    if kind not in then or length < 4:
        return None
    if kind in b"Tn":
        at += 1 + length
    rows, start = 0, at
    while at + _HEADER <= last:
        kind, length = _KIND_AND_LENGTH(data, at)
        if length < 4:
            return None
        if kind != 0x44:
            if kind != 0x43 or at + 1 + length != last or data.find(0, at + _HEADER) != last - 1:
                return None
            return rows, at - start, data[at + _HEADER : last - 1].decode("utf-8", "replace"), status
        rows += 1
        at += 1 + length
    return None
