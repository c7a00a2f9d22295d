"""One row for every message: its name, its value, its bytes, and the two functions that go between them.

The bytes are written out by hand from the protocol's documentation, so that an encoder and a decoder that
agree on the same mistake are still found out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pgwire.messages.authentication import (
    AuthenticationRequest,
    authentication_cleartext,
    authentication_ok,
    backend_key_data,
    decode_authentication,
    decode_backend_key_data,
    decode_password,
    encode_password,
)
from pgwire.messages.extended import (
    Bind,
    Execute,
    Parse,
    Target,
    decode_bind,
    decode_execute,
    decode_parse,
    decode_target,
    encode_bind,
    encode_execute,
    encode_parse,
    encode_target,
)
from pgwire.messages.query import (
    command_complete,
    decode_command_complete,
    decode_error,
    decode_parameter_status,
    decode_query,
    decode_ready,
    encode_query,
    error_response,
    parameter_status,
    ready_for_query,
)

__all__ = ["SAMPLES", "Sample"]


@dataclass(frozen=True, slots=True)
class Sample:
    name: str
    value: Any
    raw: bytes
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]
    exact: bool = True  # a byte more or less cannot be a message of this kind

    @property
    def body(self) -> bytes:
        return self.raw[5:]


SAMPLES = (
    Sample("query", b"SELECT 1", b"Q\0\0\0\x0dSELECT 1\0", encode_query, decode_query),
    Sample("query, empty", b"", b"Q\0\0\0\x05\0", encode_query, decode_query),
    Sample("parse", Parse(b"p1", b"SELECT $1", (23, 0)),
           b"P\0\0\0\x1bp1\0SELECT $1\0\0\x02\0\0\0\x17\0\0\0\0", encode_parse, decode_parse),
    Sample("parse, unnamed", Parse(b"", b"", ()), b"P\0\0\0\x08\0\0\0\0", encode_parse, decode_parse),
    Sample("parse, largest type", Parse(b"", b"x", (0xFFFFFFFF,)),
           b"P\0\0\0\x0d\0x\0\0\x01\xff\xff\xff\xff", encode_parse, decode_parse),
    Sample("bind", Bind(b"c", b"p1", (0, 1), (b"7", None), (1,)),
           b"B\0\0\0\x1ec\0p1\0\0\x02\0\0\0\x01\0\x02\0\0\0\x017\xff\xff\xff\xff\0\x01\0\x01",
           encode_bind, decode_bind),
    Sample("bind, no parameters", Bind(b"", b"", (), (), ()), b"B\0\0\0\x0c\0\0\0\0\0\0\0\0", encode_bind, decode_bind),  # noqa: E501
    Sample("bind, empty value", Bind(b"", b"", (1,), (b"", b"ab"), ()),
           b"B\0\0\0\x18\0\0\0\x01\0\x01\0\x02\0\0\0\0\0\0\0\x02ab\0\0", encode_bind, decode_bind),
    Sample("execute", Execute(b"c", 50), b"E\0\0\0\x0ac\0\0\0\0\x32", encode_execute, decode_execute),
    Sample("describe statement", Target("S", b"p1"), b"D\0\0\0\x08Sp1\0",
           lambda target: encode_target(b"D", target), decode_target),
    Sample("close portal", Target("P", b""), b"C\0\0\0\x06P\0",
           lambda target: encode_target(b"C", target), decode_target),
    Sample("password", b"ey.J.x", b"p\0\0\0\x0bey.J.x\0", encode_password, decode_password),
    Sample("authentication ok", AuthenticationRequest(0, b""), b"R\0\0\0\x08\0\0\0\0",
           lambda _: authentication_ok(), decode_authentication, exact=False),
    Sample("authentication cleartext", AuthenticationRequest(3, b""), b"R\0\0\0\x08\0\0\0\x03",
           lambda _: authentication_cleartext(), decode_authentication, exact=False),
    Sample("backend key data", (4242, b"\x01\x02\x03\x04"), b"K\0\0\0\x0c\0\0\x10\x92\x01\x02\x03\x04",
           lambda key: backend_key_data(*key), decode_backend_key_data, exact=False),
    Sample("error", {"S": "ERROR", "C": "42501", "M": "no"}, b"E\0\0\0\x17SERROR\0C42501\0Mno\0\0",
           error_response, decode_error),
    Sample("notice", {"M": "hi"}, b"N\0\0\0\x09Mhi\0\0",
           lambda fields: error_response(fields, notice=True), decode_error),
    Sample("command complete", "SELECT 3", b"C\0\0\0\x0dSELECT 3\0", command_complete, decode_command_complete),
    Sample("ready for query", "T", b"Z\0\0\0\x05T", lambda status: ready_for_query(status.encode()), decode_ready),
    Sample("parameter status", ("TimeZone", "UTC"), b"S\0\0\0\x11TimeZone\0UTC\0",
           lambda pair: parameter_status(*pair), decode_parameter_status),
)  # fmt: skip
