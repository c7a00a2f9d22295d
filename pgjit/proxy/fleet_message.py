"""What nodes send to each other through the store about a cancel request: `ask` to all or to one, `done` back. Pure.

Decides the form. INVARIANT: a message that no node has sent, or that is older than half a minute, is not read:
whoever may connect to the store's database can send notifications.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pgjit.grants.fleet_key import FleetKey

__all__ = ["CancelAsked", "CancelDone", "read_message", "write_message"]

_FRESH = timedelta(seconds=30)
_TEXT = re.compile(
    r"(?P<body>1 (?P<key>\d{1,18}) (?P<at>\d{1,18}) (?P<id>[0-9a-f]{32}) "
    r"(?:done|ask (?P<node>-|[0-9a-f]{16}) (?P<pid>-?\d{1,10}) (?P<digest>[0-9a-f]{64}))) (?P<mac>[0-9a-f]{64})\Z",
    re.ASCII,
)
_PURPOSE = b"fleet message"


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """Cancel in the session whose key has this digest. `node`: only that node has to look, and always answers."""

    id: str
    node: bytes | None
    pid: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class CancelDone:
    """The server has processed it, or the node that was named has no such session."""

    id: str


def write_message(message: CancelAsked | CancelDone, key: FleetKey, now: datetime) -> str:
    micros = round(now.timestamp() * 1_000_000)
    body = f"1 {key.number} {micros} {message.id} "
    if isinstance(message, CancelAsked):
        node = "-" if message.node is None else message.node.hex()
        body += f"ask {node} {message.pid} {message.digest.hex()}"
    else:
        body += "done"
    return f"{body} {key.mac(_PURPOSE, body.encode()).hex()}"


def read_message(
    text: str, keys: Mapping[int, FleetKey], now: datetime
) -> tuple[CancelAsked | CancelDone, FleetKey] | int | None:
    """The message, and the key that it was sent under; or the number of a key that is not known; or None."""
    if len(text) > 400 or (found := _TEXT.match(text)) is None:
        return None
    if (key := keys.get(int(found["key"]))) is None:
        return int(found["key"])
    if not hmac.compare_digest(key.mac(_PURPOSE, found["body"].encode()), bytes.fromhex(found["mac"])):
        return None
    if abs(now - datetime.fromtimestamp(0, UTC) - timedelta(microseconds=int(found["at"]))) > _FRESH:
        return None
    if found["digest"] is None:
        return CancelDone(found["id"]), key
    node = None if found["node"] == "-" else bytes.fromhex(found["node"])
    return CancelAsked(found["id"], node, int(found["pid"]), bytes.fromhex(found["digest"])), key
