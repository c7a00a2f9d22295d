"""The function call sub-protocol: FunctionCall names a function by its object id, without a statement."""

from __future__ import annotations

from dataclasses import dataclass

from pgwire.errors import RemoteProtocolError
from pgwire.reader import BodyReader, formats, message, packed, value, values

__all__ = [
    "FunctionCall",
    "decode_function_call",
    "decode_function_call_response",
    "encode_function_call",
    "encode_function_call_response",
]


@dataclass(frozen=True, slots=True)
class FunctionCall:
    function: int  # its object id
    formats: tuple[int, ...]  # none: all text; one: for all; else one each
    arguments: tuple[bytes | None, ...]
    result: int  # the format of the result


def decode_function_call(body: bytes) -> FunctionCall:
    reader = BodyReader(body)
    call = FunctionCall(reader.uint32(), reader.formats(), reader.values(), reader.int16())
    reader.end()
    if len(call.formats) > 1 and len(call.formats) != len(call.arguments):
        raise RemoteProtocolError("function call with a wrong number of argument formats")
    if call.result not in (0, 1):
        raise RemoteProtocolError("format code that does not exist")
    return call


def encode_function_call(call: FunctionCall) -> bytes:
    result = packed("h", call.result)
    return message(b"F", packed("I", call.function), formats(call.formats), values(call.arguments), result)


def decode_function_call_response(body: bytes) -> bytes | None:
    reader = BodyReader(body)
    found = reader.value()
    reader.end()
    return found


def encode_function_call_response(result: bytes | None) -> bytes:
    return message(b"V", value(result))
