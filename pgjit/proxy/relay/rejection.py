"""The bytes that replace a refused message: a text that the server must reject.

No SQL parser accepts the text, and it holds a one-off token. The server's error repeats the token, and is rewritten
into ours. The order of answers, the skipping up to Sync, the failed transaction and the status of ReadyForQuery are
then PostgreSQL's own. The server never receives the refused text.
"""

from __future__ import annotations

from dataclasses import dataclass

from pgjit.errors import PgjitError
from pgwire.messages.extended import Parse, encode_parse
from pgwire.messages.query import encode_query, error_response

__all__ = ["Rejection", "rejected_parse", "rejected_query"]


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a message was refused, and the token that the server's error will repeat."""

    token: bytes
    error: PgjitError

    def is_answer(self, raw: bytes) -> bool:
        """Whether the ErrorResponse `raw` is the server's answer to the rejected text."""
        return self.token in raw

    def response(self) -> bytes:
        return error_response(self.error.fields())


def rejected_query(rejection: Rejection) -> bytes:
    return encode_query(rejection.token)


def rejected_parse(rejection: Rejection, name: bytes | None = None) -> bytes:
    """A Parse keeps its own `name`. Another message is replaced by a Parse under a name that nobody uses."""
    return encode_parse(Parse(rejection.token if name is None else name, rejection.token, ()))
