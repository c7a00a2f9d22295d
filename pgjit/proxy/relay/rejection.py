"""How a message is refused in its place in the stream: by one that the server itself must reject.

The message is replaced by text that no SQL parser accepts and that holds a one-off token; the server's own
error carries the token back and is rewritten into ours. Order, skipping to Sync, the failed transaction and
the status of ReadyForQuery are then PostgreSQL's. The database never sees the refused text.
"""

from __future__ import annotations

from dataclasses import dataclass

from pgjit.errors import PgjitError
from pgwire.messages.extended import Parse, encode_parse
from pgwire.messages.query import encode_query, error_response

__all__ = ["Refusal", "rejected_parse", "rejected_query"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message was refused, and the token by which the server's error is known."""

    token: bytes
    error: PgjitError

    def answers(self, raw: bytes) -> bool:
        """Whether the ErrorResponse `raw` is the server's answer to this refusal."""
        return self.token in raw

    def response(self) -> bytes:
        return error_response(self.error.fields())


def rejected_query(refusal: Refusal) -> bytes:
    return encode_query(refusal.token)


def rejected_parse(refusal: Refusal, name: bytes | None = None) -> bytes:
    """In place of a Parse under its own `name`; in place of another message under a name nobody uses."""
    return encode_parse(Parse(refusal.token if name is None else name, refusal.token, ()))
