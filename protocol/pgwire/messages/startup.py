"""The first message of a client: StartupMessage, SSLRequest, GSSENCRequest or CancelRequest.

Decides their layout and limits (PostgreSQL documentation, "Message Formats"). Does not decide which parameters are
accepted: `pgjit.proxy.door` does.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from pgwire.errors import RemoteProtocolError
from pgwire.reader import BodyReader, cstring, message, packed

__all__ = [
    "MAX_STARTUP",
    "NEWEST_MINOR",
    "CancelRequest",
    "EncryptionRequest",
    "NegotiateVersion",
    "OtherVersion",
    "StartupLayoutError",
    "StartupMessage",
    "decode_negotiate_version",
    "decode_startup",
    "encode_cancel",
    "encode_gss_request",
    "encode_negotiate_version",
    "encode_ssl_request",
    "encode_startup",
    "startup_length",
]

MAX_STARTUP = 10_000
"""The most bytes after the length word, as in PostgreSQL (MAX_STARTUP_PACKET_LENGTH)."""

NEWEST_MINOR = 2
"""Protocol 3.2 is the newest version supported here, and 3.0 the only other one: 3.1 is reserved."""

_CANCEL, _SSL, _GSS = 80877102, 80877103, 80877104
_WORD = struct.Struct("!I")


class StartupLayoutError(RemoteProtocolError):
    """A StartupMessage whose parameters cannot be read. The text is PostgreSQL's own."""


@dataclass(frozen=True, slots=True)
class EncryptionRequest:
    gss: bool


@dataclass(frozen=True, slots=True)
class CancelRequest:
    pid: int
    secret: bytes


@dataclass(frozen=True, slots=True)
class OtherVersion:
    """A startup message of another major version than 3. The layout of its body is not known."""

    major: int
    minor: int
    body: bytes


@dataclass(frozen=True, slots=True)
class StartupMessage:
    major: int
    minor: int
    parameters: dict[str, str]

    @property
    def unknown_options(self) -> tuple[str, ...]:
        """The `_pq_.` protocol options. None is supported: NegotiateProtocolVersion lists them all."""
        return tuple(name for name in self.parameters if name.startswith("_pq_."))

    @property
    def spoken_minor(self) -> int:
        """The minor version that both sides use from here on."""
        return NEWEST_MINOR if self.minor >= NEWEST_MINOR else 0

    @property
    def negotiation(self) -> NegotiateVersion | None:
        """The NegotiateProtocolVersion to send first, if the client does not get all that it requested."""
        if self.minor == self.spoken_minor and not self.unknown_options:
            return None
        return NegotiateVersion(3, self.spoken_minor, self.unknown_options)


@dataclass(frozen=True, slots=True)
class NegotiateVersion:
    """NegotiateProtocolVersion: the server supports an older minor version only, or not all protocol options."""

    major: int
    minor: int
    unknown: tuple[str, ...]


def startup_length(head: bytes) -> int:
    """The number of bytes after the length word. Raises RemoteProtocolError unless it is 4 to 10000."""
    length = int(_WORD.unpack(head)[0]) - 4
    if not 4 <= length <= MAX_STARTUP:
        raise RemoteProtocolError(f"startup packet with length {length}")
    return length


def decode_startup(body: bytes) -> StartupMessage | OtherVersion | CancelRequest | EncryptionRequest:
    """The first message, from the bytes after its length word. Raises RemoteProtocolError."""
    reader = BodyReader(body)
    code = reader.uint32()
    if code in (_SSL, _GSS):
        reader.end()
        return EncryptionRequest(gss=code == _GSS)
    if code == _CANCEL:
        pid = reader.int32()
        secret = reader.take(reader.left)
        if not 4 <= len(secret) <= 256:
            raise RemoteProtocolError("cancel key of unusual length")
        return CancelRequest(pid, secret)
    major, minor = code >> 16, code & 0xFFFF
    if major != 3:
        return OtherVersion(major, minor, reader.take(reader.left))
    try:
        return StartupMessage(major, minor, _parameters(reader))
    except StartupLayoutError:
        raise
    except RemoteProtocolError:
        raise StartupLayoutError("invalid startup packet layout: expected terminator as last byte") from None


def _parameters(reader: BodyReader) -> dict[str, str]:
    parameters: dict[str, str] = {}
    while name := reader.string():
        try:
            key, value = name.decode(), reader.string().decode()
        except UnicodeDecodeError:
            raise StartupLayoutError("startup packet is not UTF-8") from None
        if key in parameters:
            raise StartupLayoutError("startup packet names a parameter twice")
        parameters[key] = value
    reader.end()
    return parameters


def encode_startup(parameters: dict[str, str], *, major: int = 3, minor: int = 0) -> bytes:
    pairs = b"".join(cstring(k.encode()) + cstring(v.encode()) for k, v in parameters.items())
    body = _WORD.pack(major << 16 | minor) + pairs + b"\0"
    return _WORD.pack(len(body) + 4) + body


def encode_cancel(pid: int, secret: bytes) -> bytes:
    return struct.pack("!IIi", 12 + len(secret), _CANCEL, pid) + secret


def encode_ssl_request() -> bytes:
    return struct.pack("!II", 8, _SSL)


def encode_gss_request() -> bytes:
    return struct.pack("!II", 8, _GSS)


def encode_negotiate_version(answer: NegotiateVersion) -> bytes:
    """The version field is the whole version number, not the minor one, as in every PostgreSQL that sends it."""
    version = packed("HHI", answer.major, answer.minor, len(answer.unknown))
    return message(b"v", version, *[cstring(name.encode()) for name in answer.unknown])


def decode_negotiate_version(body: bytes) -> NegotiateVersion:
    """The whole version and the options, as servers send them since PostgreSQL 15. Raises RemoteProtocolError."""
    reader = BodyReader(body)
    version, count = reader.uint32(), reader.uint32()
    names = [reader.string() for _ in range(count)]
    reader.end()
    if not all(name.startswith(b"_pq_.") and name.isascii() for name in names):
        raise RemoteProtocolError("negotiation of something that is no protocol option")
    return NegotiateVersion(version >> 16, version & 0xFFFF, tuple([name.decode() for name in names]))
