"""Log records for a collector, written as OTLP's protobuf messages. Pure.

A journal has thousands of records a second. The SDK takes a fraction of a millisecond for each of them, and the
objects of protobuf take half of that. So the few fields of a log record are written here. The tests read them with
protobuf.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from struct import pack

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

__all__ = ["attribute", "log_message", "logs_request", "rejected_log_records", "repeated_attribute"]

_SHORT = 128  # lengths below it take one byte
_WORD = 1 << 63


def attribute(name: str, value: str | int) -> bytes:
    """An attribute of a log record. A number that does not fit into 64 bits is a text."""
    if isinstance(value, str):
        key, written = _key(name), _utf8(value)
        size = len(written)
        whole = len(key) + size + 4
        if whole < _SHORT:  # nearly all of them
            return b"\x32%c%b\x12%c\x0a%c%b" % (whole, key, size + 2, size, written)
    return _delimited(b"\x32", _key_value(name, value))


repeated_attribute = lru_cache(4096)(attribute)
"""The same, for one whose value comes again and again."""


def log_message(
    body: str,
    attributes: Iterable[bytes],
    *,
    time: int,
    observed: int,
    severity: tuple[int, str],
    event: str,
    span: tuple[bytes, bytes, int] | None = None,
) -> bytes:
    """A log record. `time`, `observed`: nanoseconds since 1970. `span`: the ids of trace and span, and the flags."""
    pieces = [
        pack("<BQ", 0x09, time),
        b"\x10%c" % severity[0],
        _text(b"\x1a", severity[1]),
        _delimited(b"\x2a", _text(b"\x0a", body)),
        *attributes,
        pack("<BQ", 0x59, observed),
        _text(b"\x62", event),
    ]
    if span is not None:
        trace_id, span_id, flags = span
        pieces += (b"\x4a\x10", trace_id, b"\x52\x08", span_id, pack("<BI", 0x45, flags))
    return b"".join(pieces)


def logs_request(resource: Mapping[str, object], records: Iterable[bytes]) -> bytes:
    """The body of one request to `/v1/logs`. `resource` has the attributes of this process."""
    attributes = b"".join(_delimited(b"\x0a", _key_value(name, str(value))) for name, value in resource.items())
    scope = _text(b"\x0a", "pgjit") + _text(b"\x12", str(resource.get("service.version", "")))
    of_scope = b"".join([_delimited(b"\x0a", scope), *(_delimited(b"\x12", record) for record in records)])
    return _delimited(b"\x0a", _delimited(b"\x0a", attributes) + _delimited(b"\x12", of_scope))


def rejected_log_records(content: bytes) -> int:
    """How many records a collector refused of a batch that it accepted, by the body of its answer."""
    answer = ExportLogsServiceResponse()
    try:
        answer.ParseFromString(content)
    except Exception:  # noqa: BLE001 - an answer that cannot be read is one that accepts
        return 0
    return answer.partial_success.rejected_log_records


def _key_value(name: str, value: str | int) -> bytes:
    key = _key(name)
    if isinstance(value, int) and -_WORD <= value < _WORD:
        number = b"\x18" + _varint(value % (2 * _WORD))
        return b"%b\x12%c%b" % (key, len(number), number)
    return key + _delimited(b"\x12", _text(b"\x0a", str(value)))


@lru_cache(256)
def _key(name: str) -> bytes:
    return _text(b"\x0a", name)


def _text(tag: bytes, text: str) -> bytes:
    return _delimited(tag, _utf8(text))


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:  # half a pair of surrogates: protobuf takes no such text
        return text.encode(errors="replace")


def _delimited(tag: bytes, content: bytes) -> bytes:
    size = len(content)
    return b"%b%c%b" % (tag, size, content) if size < _SHORT else b"%b%b%b" % (tag, _varint(size), content)


def _varint(number: int) -> bytes:
    written = bytearray()
    while number >= _SHORT:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)
