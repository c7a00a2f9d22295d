"""COPY: the three responses that start it, the data, and the two messages that end it.

Decides their layout only; `pgwire.state` decides which may come when.
"""

from __future__ import annotations

from dataclasses import dataclass

from pgwire.errors import LocalProtocolError, RemoteProtocolError
from pgwire.reader import BodyReader, cstring, formats, message, packed

__all__ = [
    "CopyResponse",
    "copy_done",
    "decode_copy_data",
    "decode_copy_fail",
    "decode_copy_response",
    "encode_copy_data",
    "encode_copy_fail",
    "encode_copy_response",
]


@dataclass(frozen=True, slots=True)
class CopyResponse:
    """CopyInResponse, CopyOutResponse and CopyBothResponse, which have the same layout."""

    format: int  # 0: text, in lines; 1: binary
    columns: tuple[int, ...]  # the format of each column; all 0 if `format` is 0


def decode_copy_response(body: bytes) -> CopyResponse:
    reader = BodyReader(body)
    response = CopyResponse(reader.byte(), reader.formats())
    reader.end()
    if not _is_possible(response):
        raise RemoteProtocolError("copy response with formats that do not go together")
    return response


def encode_copy_response(code: bytes, response: CopyResponse) -> bytes:
    """CopyInResponse (`code` b"G"), CopyOutResponse (b"H") or CopyBothResponse (b"W")."""
    if not _is_possible(response):
        raise LocalProtocolError("copy response with formats that do not go together")
    return message(code, packed("B", response.format), formats(response.columns))


def _is_possible(response: CopyResponse) -> bool:
    return response.format == 1 or (response.format == 0 and not any(response.columns))


def decode_copy_data(body: bytes) -> bytes:
    """The whole body. The protocol does not define where a row ends in it."""
    return body


def encode_copy_data(data: bytes) -> bytes:
    return message(b"d", data)


def copy_done() -> bytes:
    return message(b"c")


def decode_copy_fail(body: bytes) -> bytes:
    """Why the client gave up."""
    reader = BodyReader(body)
    reason = reader.string()
    reader.end()
    return reason


def encode_copy_fail(reason: bytes) -> bytes:
    return message(b"f", cstring(reason))
