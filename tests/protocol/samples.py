"""One row for every message: its name, its value, its bytes, and the two functions that go between them.

The bytes are written out by hand from the protocol's documentation, so that an encoder and a decoder that
agree on the same mistake are still found out. Fuzzing starts from this table, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from pgwire.messages import authentication as auth
from pgwire.messages import copy, extended, function_call, query, results, startup
from pgwire.messages.authentication import AuthenticationRequest, SASLInitialResponse
from pgwire.messages.copy import CopyResponse
from pgwire.messages.extended import Bind, DescribeTarget, Execute, Parse
from pgwire.messages.function_call import FunctionCall
from pgwire.messages.query import Notification
from pgwire.messages.results import Field
from pgwire.messages.startup import CancelRequest, EncryptionRequest, NegotiateVersion, OtherVersion, StartupMessage
from pgwire.reader import message, packed

__all__ = ["SAMPLES", "STREAM", "Sample"]


@dataclass(frozen=True, slots=True)
class Sample:
    name: str
    value: Any
    raw: bytes
    encode: Callable[[Any], bytes]  # of any value that `decode` gives
    decode: Callable[[bytes], Any]
    least: int | None = None  # the fewest bytes of a body that may be of any length; none: no byte more or less
    lossy: bool = False  # text that is not UTF-8 is read, but not written as it came
    typed: bool = True  # false: a first packet, without a type byte

    @property
    def body(self) -> bytes:
        return self.raw[5:] if self.typed else self.raw[-startup.startup_length(self.raw[:4]) :]


def _alone(write: Callable[[], bytes]) -> Callable[[Any], bytes]:
    return lambda _: write()


def _authentication(request: AuthenticationRequest) -> bytes:
    match request.code:
        case 0:
            return auth.authentication_ok()
        case 3:
            return auth.authentication_cleartext()
        case 5:
            return auth.authentication_md5(request.data)
        case 10:
            return auth.authentication_sasl(request.mechanisms)
        case 11:
            return auth.authentication_sasl_continue(request.data)
        case 12:
            return auth.authentication_sasl_final(request.data)
        case code:
            return message(b"R", packed("i", code), request.data)


def _first(packet: StartupMessage | OtherVersion | CancelRequest | EncryptionRequest) -> bytes:
    match packet:
        case OtherVersion(major, minor, body):
            return packed("IHH", 8 + len(body), major, minor) + body
        case StartupMessage(major, minor, parameters):
            return startup.encode_startup(parameters, major=major, minor=minor)
        case CancelRequest(pid, secret):
            return startup.encode_cancel(pid, secret)
        case EncryptionRequest(gss):
            return startup.encode_gss_request() if gss else startup.encode_ssl_request()


FIELD = Field(b"id", 16384, 1, 23, 4, -1, 0)

FIRST = partial(Sample, encode=_first, decode=startup.decode_startup, typed=False)
NEGOTIATE = partial(Sample, encode=startup.encode_negotiate_version, decode=startup.decode_negotiate_version)
REQUEST = partial(Sample, encode=_authentication, decode=auth.decode_authentication)
COPY_IN, COPY_OUT, COPY_BOTH = (
    partial(Sample, encode=partial(copy.encode_copy_response, code), decode=copy.decode_copy_response)
    for code in (b"G", b"H", b"W")
)
ROWS = partial(Sample, encode=results.encode_row_description, decode=results.decode_row_description)
ROW = partial(Sample, encode=results.encode_data_row, decode=results.decode_data_row)
CALL = partial(Sample, encode=function_call.encode_function_call, decode=function_call.decode_function_call)
RESULT = partial(
    Sample, encode=function_call.encode_function_call_response, decode=function_call.decode_function_call_response
)
PARSE = partial(Sample, encode=extended.encode_parse, decode=extended.decode_parse)
BIND = partial(Sample, encode=extended.encode_bind, decode=extended.decode_bind)
TYPES = partial(Sample, encode=results.encode_parameter_description, decode=results.decode_parameter_description)


def _empty(name: str, raw: bytes, write: Callable[[], bytes]) -> Sample:
    return Sample(name, None, raw, _alone(write), query.decode_empty)


SAMPLES = (
    # The first packet.
    FIRST("startup", StartupMessage(3, 0, {"user": "ann"}), b"\0\0\0\x12\0\x03\0\0user\0ann\0\0"),
    FIRST("startup, newer, not ASCII", StartupMessage(3, 2, {"user": "ä", "x": ""}),
          b"\0\0\0\x14\0\x03\0\x02user\0\xc3\xa4\0x\0\0\0"),
    FIRST("startup, another version", OtherVersion(2, 0, b"shop"), b"\0\0\0\x0c\0\x02\0\0shop", least=4),
    FIRST("startup, nothing", StartupMessage(3, 0, {}), b"\0\0\0\x09\0\x03\0\0\0"),
    FIRST("ssl request", EncryptionRequest(gss=False), b"\0\0\0\x08\x04\xd2\x16\x2f"),
    FIRST("gss request", EncryptionRequest(gss=True), b"\0\0\0\x08\x04\xd2\x16\x30"),
    FIRST("cancel request", CancelRequest(4242, b"abcd"), b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\x10\x92abcd", least=12),
    NEGOTIATE("negotiate version", NegotiateVersion(3, 2, ()), b"v\0\0\0\x0c\0\x03\0\x02\0\0\0\0"),
    NEGOTIATE("negotiate version, of options", NegotiateVersion(3, 0, ("_pq_.a", "_pq_.b")),
              b"v\0\0\0\x1a\0\x03\0\0\0\0\0\x02_pq_.a\0_pq_.b\0"),
    # Authentication.
    REQUEST("authentication ok", AuthenticationRequest(0, b""), b"R\0\0\0\x08\0\0\0\0"),
    REQUEST("authentication cleartext", AuthenticationRequest(3, b""), b"R\0\0\0\x08\0\0\0\x03"),
    REQUEST("authentication md5", AuthenticationRequest(5, b"salt"), b"R\0\0\0\x0c\0\0\0\x05salt"),
    REQUEST("authentication sasl", AuthenticationRequest(10, b"SCRAM-SHA-256\0X\0\0"),
            b"R\0\0\0\x19\0\0\0\x0aSCRAM-SHA-256\0X\0\0"),
    REQUEST("authentication sasl continue", AuthenticationRequest(11, b"r=1"), b"R\0\0\0\x0b\0\0\0\x0br=1", least=4),
    REQUEST("authentication sasl final", AuthenticationRequest(12, b"v=1"), b"R\0\0\0\x0b\0\0\0\x0cv=1", least=4),
    REQUEST("authentication unknown", AuthenticationRequest(99, b"?"), b"R\0\0\0\x09\0\0\0\x63?", least=4),
    Sample("password", b"ey.J.x", b"p\0\0\0\x0bey.J.x\0", auth.encode_password, auth.decode_password),
    Sample("sasl initial", SASLInitialResponse("S", b"n,,"), b"p\0\0\0\x0dS\0\0\0\0\x03n,,",
           lambda first: auth.encode_sasl_initial(first.mechanism, first.response), auth.decode_sasl_initial),
    Sample("sasl initial, no response", SASLInitialResponse("S", None), b"p\0\0\0\x0aS\0\xff\xff\xff\xff",
           lambda first: auth.encode_sasl_initial(first.mechanism, first.response), auth.decode_sasl_initial),
    Sample("sasl response", b"c=biws", b"p\0\0\0\x0ac=biws",
           auth.encode_sasl_response, auth.decode_sasl_response, least=0),
    Sample("backend key data", (4242, b"\x01\x02\x03\x04"), b"K\0\0\0\x0c\0\0\x10\x92\x01\x02\x03\x04",
           lambda key: auth.backend_key_data(*key), auth.decode_backend_key_data, least=8),
    # Simple query and status.
    Sample("query", b"SELECT 1", b"Q\0\0\0\x0dSELECT 1\0", query.encode_query, query.decode_query),
    Sample("query, empty", b"", b"Q\0\0\0\x05\0", query.encode_query, query.decode_query),
    Sample("command complete", "SELECT 3", b"C\0\0\0\x0dSELECT 3\0",
           query.command_complete, query.decode_command_complete, lossy=True),
    Sample("error", {"S": "ERROR", "C": "42501", "M": "no"}, b"E\0\0\0\x17SERROR\0C42501\0Mno\0\0",
           query.error_response, query.decode_error, lossy=True),
    Sample("error, nothing", {}, b"E\0\0\0\x05\0", query.error_response, query.decode_error, lossy=True),
    Sample("notice", {"M": "hi"}, b"N\0\0\0\x09Mhi\0\0",
           partial(query.error_response, notice=True), query.decode_error, lossy=True),
    Sample("ready for query", "T", b"Z\0\0\0\x05T",
           lambda status: query.ready_for_query(status.encode()), query.decode_ready),
    Sample("parameter status", ("TimeZone", "UTC"), b"S\0\0\0\x11TimeZone\0UTC\0",
           lambda pair: query.parameter_status(*pair), query.decode_parameter_status, lossy=True),
    Sample("notification", Notification(4242, b"jobs", b""), b"A\0\0\0\x0e\0\0\x10\x92jobs\0\0",
           query.encode_notification, query.decode_notification),
    _empty("empty query response", b"I\0\0\0\x04", query.empty_query_response),
    _empty("terminate", b"X\0\0\0\x04", query.terminate),
    # Extended query.
    PARSE("parse", Parse(b"p1", b"SELECT $1", (23, 0)), b"P\0\0\0\x1bp1\0SELECT $1\0\0\x02\0\0\0\x17\0\0\0\0"),
    PARSE("parse, unnamed", Parse(b"", b"", ()), b"P\0\0\0\x08\0\0\0\0"),
    PARSE("parse, largest type", Parse(b"", b"x", (0xFFFFFFFF,)), b"P\0\0\0\x0d\0x\0\0\x01\xff\xff\xff\xff"),
    BIND("bind", Bind(b"c", b"p1", (0, 1), (b"7", None), (1,)),
         b"B\0\0\0\x1ec\0p1\0\0\x02\0\0\0\x01\0\x02\0\0\0\x017\xff\xff\xff\xff\0\x01\0\x01"),
    BIND("bind, no parameters", Bind(b"", b"", (), (), ()), b"B\0\0\0\x0c\0\0\0\0\0\0\0\0"),
    BIND("bind, empty value", Bind(b"", b"", (1,), (b"", b"ab"), ()),
         b"B\0\0\0\x18\0\0\0\x01\0\x01\0\x02\0\0\0\0\0\0\0\x02ab\0\0"),
    Sample("execute", Execute(b"c", 50), b"E\0\0\0\x0ac\0\0\0\0\x32",
           extended.encode_execute, extended.decode_execute),
    Sample("describe statement", DescribeTarget("S", b"p1"), b"D\0\0\0\x08Sp1\0",
           partial(extended.encode_target, b"D"), extended.decode_target),
    Sample("close portal", DescribeTarget("P", b""), b"C\0\0\0\x06P\0",
           partial(extended.encode_target, b"C"), extended.decode_target),
    _empty("sync", b"S\0\0\0\x04", extended.sync),
    _empty("flush", b"H\0\0\0\x04", extended.flush),
    _empty("parse complete", b"1\0\0\0\x04", extended.parse_complete),
    _empty("bind complete", b"2\0\0\0\x04", extended.bind_complete),
    _empty("close complete", b"3\0\0\0\x04", extended.close_complete),
    _empty("no data", b"n\0\0\0\x04", extended.no_data),
    _empty("portal suspended", b"s\0\0\0\x04", extended.portal_suspended),
    # Results.
    ROWS("row description", (FIELD,),
         b"T\0\0\0\x1b\0\x01id\0\0\0\x40\0\0\x01\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0"),
    ROWS("row description, of the catalogs, binary", (Field(b"", 0xFFFFFFFF, -6, 25, -1, 7, 1),),
         b"T\0\0\0\x19\0\x01\0\xff\xff\xff\xff\xff\xfa\0\0\0\x19\xff\xff\0\0\0\x07\0\x01"),
    ROWS("row description, no columns", (), b"T\0\0\0\x06\0\0"),
    TYPES("parameter description", (23, 0xFFFFFFFF), b"t\0\0\0\x0e\0\x02\0\0\0\x17\xff\xff\xff\xff"),
    TYPES("parameter description, none", (), b"t\0\0\0\x06\0\0"),
    ROW("data row", (b"1", None, b""), b"D\0\0\0\x13\0\x03\0\0\0\x011\xff\xff\xff\xff\0\0\0\0"),
    ROW("data row, no columns", (), b"D\0\0\0\x06\0\0"),
    # COPY.
    COPY_IN("copy in", CopyResponse(0, (0, 0)), b"G\0\0\0\x0b\0\0\x02\0\0\0\0"),
    COPY_OUT("copy out", CopyResponse(1, (1,)), b"H\0\0\0\x09\x01\0\x01\0\x01"),
    COPY_BOTH("copy both", CopyResponse(0, ()), b"W\0\0\0\x07\0\0\0"),
    Sample("copy data", b"1\tann\n", b"d\0\0\0\x0a1\tann\n", copy.encode_copy_data, copy.decode_copy_data, least=0),
    _empty("copy done", b"c\0\0\0\x04", copy.copy_done),
    Sample("copy fail", b"no more", b"f\0\0\0\x0cno more\0", copy.encode_copy_fail, copy.decode_copy_fail),
    # Function call.
    CALL("function call", FunctionCall(1598, (0, 1), (b"7", None), 1),
         b"F\0\0\0\x1b\0\0\x06\x3e\0\x02\0\0\0\x01\0\x02\0\0\0\x017\xff\xff\xff\xff\0\x01"),
    CALL("function call, no arguments", FunctionCall(2**32 - 1, (), (), 0),
         b"F\0\0\0\x0e\xff\xff\xff\xff\0\0\0\0\0\0"),
    RESULT("function call response", b"0.5", b"V\0\0\0\x0b\0\0\0\x030.5"),
    RESULT("function call response, null", None, b"V\0\0\0\x08\xff\xff\xff\xff"),
)  # fmt: skip

STREAM = b"".join(sample.raw for sample in SAMPLES if sample.typed)
