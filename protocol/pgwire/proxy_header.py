"""The PROXY protocol header, versions 1 and 2: a client's addresses, as a load balancer sends them before its bytes.

Decides where a header ends and what it says (HAProxy's `proxy-protocol.txt`). Does not decide who may send one, nor
whether one is expected: a receiver that guessed could be given any address by any client.

INVARIANT: `feed` takes no byte behind the header. What follows is the client's.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass, field

from pgwire.errors import RemoteProtocolError

__all__ = ["MAX_PROXY_HEADER", "Endpoint", "ProxyHeader", "ProxyHeaderReader", "begins_proxy_header", "crc32c"]

MAX_PROXY_HEADER = 4096
"""The most bytes of a version 2 header. The longest value that is sent in practice is a client's certificate."""

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_V1 = b"PROXY "
_MAX_V1 = 107  # with CRLF
_FIXED = 16
_LOCAL, _PROXY = 0x20, 0x21
_UNSPEC, _TCP4, _TCP6, _UNIX = 0x00, 0x11, 0x21, 0x31
_ADDRESS_BYTES = {_TCP4: 12, _TCP6: 36, _UNIX: 216}
_MAX_UNIQUE_ID = 128
_MAX_VPC_ENDPOINT = 128
_TLV = struct.Struct("!BH")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address and port. An IPv4 address that is mapped into IPv6 is an IPv4 address."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """What a header says. Without `source` the addresses are those of the connection itself."""

    source: Endpoint | None = None
    destination: Endpoint | None = None
    local: bool = False  # the balancer's own connection: a health check
    unique_id: bytes | None = None  # of the connection, for logs
    link_id: int | None = None  # of an Azure private endpoint
    vpc_endpoint: str | None = None  # of AWS


def begins_proxy_header(data: bytes) -> bool:
    """Whether a connection that begins with these bytes has a header. No other first message begins with them."""
    return len(data) >= 4 and (_SIGNATURE.startswith(data[:4]) or _V1.startswith(data[:4]))


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC = _crc_table()


def crc32c(data: bytes) -> int:
    """The checksum of RFC 4960, appendix B."""
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _CRC[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


@dataclass(slots=True)
class ProxyHeaderReader:
    """Feed it what arrived until `header` is there."""

    header: ProxyHeader | None = None
    _data: bytearray = field(default_factory=bytearray)

    @property
    def begun(self) -> bool:
        return bool(self._data)

    def feed(self, data: bytes) -> int:
        """How many of these bytes are the header's: they are read now. Raises RemoteProtocolError."""
        before = len(self._data)
        while self.header is None and (piece := data[len(self._data) - before :][: self._wanted()]):
            self._take(piece)
        return len(self._data) - before

    def _wanted(self) -> int:
        """How many more bytes are the header's for certain, whatever they are. At least one."""
        count = len(self._data)
        if count < len(_V1) or not self._data.startswith(_V1):
            return len(_V1) - count if count < len(_V1) else self._length() - count
        return 1  # a header of version 1 ends where its line does

    def _length(self) -> int:
        """The length of a header of version 2, as far as it is known."""
        if len(self._data) < _FIXED:
            return _FIXED
        return _FIXED + int.from_bytes(self._data[14:16])

    def _take(self, piece: bytes) -> None:
        self._data += piece
        data = bytes(self._data)
        if data.startswith(_V1):
            self._take_v1(data)
            return
        begun = len(data)
        if not (_SIGNATURE.startswith(data[:12]) or _V1.startswith(data)):
            raise RemoteProtocolError("no PROXY protocol header")
        if begun > 12 and data[12] not in (_LOCAL, _PROXY):
            raise _malformed(f"version and command {data[12]:#04x}")
        if begun < _FIXED:
            return
        if self._length() > MAX_PROXY_HEADER:
            raise _malformed(f"a length of {self._length()} bytes, of at most {MAX_PROXY_HEADER}")
        if begun == self._length():
            self.header = _v2(data)

    def _take_v1(self, data: bytes) -> None:
        if data.endswith(b"\n"):
            if not data.endswith(b"\r\n"):
                raise _malformed("a line that does not end with CR and LF")
            self.header = _v1(data[:-2])
        elif len(data) >= _MAX_V1:
            raise _malformed(f"a line of more than {_MAX_V1} bytes")


def _malformed(what: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"malformed PROXY protocol header: {what}")


# --- version 1 -----------------------------------------------------------------------------------------


def _v1(line: bytes) -> ProxyHeader:
    if line == b"PROXY UNKNOWN" or line.startswith(b"PROXY UNKNOWN "):
        return ProxyHeader()
    words = line.split(b" ")
    if len(words) != 6 or words[1] not in (b"TCP4", b"TCP6"):
        raise _malformed("not `PROXY`, a protocol, two addresses and two ports")
    six = words[1] == b"TCP6"
    source, destination = (
        Endpoint(_host(host, six=six), _port(port)) for host, port in ((words[2], words[4]), (words[3], words[5]))
    )
    return ProxyHeader(source, destination)


def _host(text: bytes, *, six: bool) -> str:
    # Only what an address may consist of: `ipaddress` accepts a zone behind `%` too.
    allowed = b"0123456789abcdefABCDEF:." if six else b"0123456789."
    if text.strip(allowed):
        raise _malformed("an address with other characters")
    try:
        return _mapped(ipaddress.IPv6Address(text.decode())) if six else str(ipaddress.IPv4Address(text.decode()))
    except ValueError:
        raise _malformed("an address that is none") from None


def _mapped(address: ipaddress.IPv6Address) -> str:
    return str(address if address.ipv4_mapped is None else address.ipv4_mapped)


def _port(text: bytes) -> int:
    # Digits alone, and no leading zero: `int` accepts `+1`, `1_0` and the digits of other scripts.
    if not text or text.strip(b"0123456789") or len(text) > 5 or (text[:1] == b"0" and text != b"0"):
        raise _malformed("a port that is none")
    if int(text) > 65535:
        raise _malformed("a port above 65535")
    return int(text)


# --- version 2 -----------------------------------------------------------------------------------------


def _v2(data: bytes) -> ProxyHeader:
    if data[12] == _LOCAL:
        return ProxyHeader(local=True)  # the rest is skipped, the family too
    family, block = data[13], data[_FIXED:]
    if family == _UNSPEC:
        return ProxyHeader()
    if family not in _ADDRESS_BYTES:
        raise _malformed(f"protocol {family:#04x}")
    size = _ADDRESS_BYTES[family]
    if len(block) < size:
        raise _malformed(f"{len(block)} bytes of addresses instead of {size}")
    values = _values(block[size:])
    if 0x03 in values:
        _check(data, values[0x03], _FIXED + size)
    if 0x20 in values:
        _check_ssl(values[0x20])
    source, destination = _endpoints(family, block)
    return ProxyHeader(
        source,
        destination,
        unique_id=_unique_id(values.get(0x05)),
        link_id=_link_id(values.get(0xEE)),
        vpc_endpoint=_vpc_endpoint(values.get(0xEA)),
    )


def _endpoints(family: int, block: bytes) -> tuple[Endpoint | None, Endpoint | None]:
    if family == _UNIX:
        return None, None  # the client is on the balancer's own machine
    if family == _TCP4:
        first, second, *ports = struct.unpack("!4s4sHH", block[:12])
        hosts = (str(ipaddress.IPv4Address(first)), str(ipaddress.IPv4Address(second)))
    else:
        first, second, *ports = struct.unpack("!16s16sHH", block[:36])
        hosts = (_mapped(ipaddress.IPv6Address(first)), _mapped(ipaddress.IPv6Address(second)))
    return Endpoint(hosts[0], ports[0]), Endpoint(hosts[1], ports[1])


_ONCE = frozenset({0x03, 0x05, 0x20, 0xEA, 0xEE})
"""Values that are read here: of two, nobody could say which one counts."""


def _values(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while data:
        if len(data) < _TLV.size or len(data) < _TLV.size + (length := int(_TLV.unpack(data[:3])[1])):
            raise _malformed("a value that is longer than the header")
        kind = data[0]
        if kind in _ONCE and kind in found:
            raise _malformed(f"two values of type {kind:#04x}")
        found[kind] = data[3 : 3 + length]
        data = data[3 + length :]
    return found


def _check(data: bytes, given: bytes, at: int) -> None:
    """The checksum is that of the whole header, with zeros in its own place."""
    if len(given) != 4:
        raise _malformed("a checksum that is not four bytes long")
    while data[at] != 0x03:
        at += 3 + int.from_bytes(data[at + 1 : at + 3])
    if crc32c(data[: at + 3] + bytes(4) + data[at + 7 :]) != int.from_bytes(given):
        raise RemoteProtocolError("the checksum of the PROXY protocol header is wrong")


def _check_ssl(value: bytes) -> None:
    """About the client's TLS with the balancer. Nothing of it is used: it has to be well-formed."""
    if len(value) < 5:
        raise _malformed("a TLS value of less than five bytes")
    _values(value[5:])


def _unique_id(value: bytes | None) -> bytes | None:
    if value is not None and len(value) > _MAX_UNIQUE_ID:
        raise _malformed(f"a unique id of more than {_MAX_UNIQUE_ID} bytes")
    return value or None


def _link_id(value: bytes | None) -> int | None:
    if value is None or value[:1] != b"\x01":
        return None  # of a subtype that is not known
    if len(value) != 5:
        raise _malformed("a link id that is not four bytes long")
    return int.from_bytes(value[1:], "little")


def _vpc_endpoint(value: bytes | None) -> str | None:
    if value is None or value[:1] != b"\x01":
        return None
    text = value[1:]
    if not text or len(text) > _MAX_VPC_ENDPOINT or not text.isascii() or not text.decode().isprintable():
        raise _malformed("the id of a VPC endpoint that is none")
    return text.decode()
