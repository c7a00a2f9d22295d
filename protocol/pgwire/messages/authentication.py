"""Authentication, in both roles: the proxy authenticates its client, and logs in to the server."""

from __future__ import annotations

from dataclasses import dataclass

from pgwire.errors import RemoteProtocolError
from pgwire.reader import BodyReader, cstring, message, packed, value

__all__ = [
    "AuthenticationRequest",
    "SASLInitialResponse",
    "authentication_cleartext",
    "authentication_md5",
    "authentication_ok",
    "authentication_sasl",
    "authentication_sasl_continue",
    "authentication_sasl_final",
    "backend_key_data",
    "decode_authentication",
    "decode_backend_key_data",
    "decode_password",
    "decode_sasl_initial",
    "decode_sasl_response",
    "encode_password",
    "encode_sasl_initial",
    "encode_sasl_response",
]

_DATALESS = frozenset((0, 2, 3, 7, 9))  # Ok, KerberosV5, CleartextPassword, GSS, SSPI
_MD5, _SASL, _SASL_CONTINUE, _SASL_FINAL = 5, 10, 11, 12


@dataclass(frozen=True, slots=True)
class AuthenticationRequest:
    """`code`: 0 Ok, 3 cleartext, 5 MD5, 10 SASL, 11 SASLContinue, 12 SASLFinal; `data`: the bytes after it."""

    code: int
    data: bytes

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """The mechanisms that a SASL request (10) offers, in the server's order. Raises RemoteProtocolError."""
        reader = BodyReader(self.data)
        names = []
        while name := reader.string():
            names.append(_mechanism(name))
        reader.end()
        return tuple(names)


@dataclass(frozen=True, slots=True)
class SASLInitialResponse:
    mechanism: str
    response: bytes | None  # None: the client waits for a challenge


def authentication_ok() -> bytes:
    return message(b"R", packed("i", 0))


def authentication_cleartext() -> bytes:
    return message(b"R", packed("i", 3))


def authentication_md5(salt: bytes) -> bytes:
    return message(b"R", packed("i", _MD5), salt)


def authentication_sasl(mechanisms: tuple[str, ...]) -> bytes:
    names = [cstring(name.encode()) for name in mechanisms]
    return message(b"R", packed("i", _SASL), *names, b"\0")


def authentication_sasl_continue(data: bytes) -> bytes:
    return message(b"R", packed("i", _SASL_CONTINUE), data)


def authentication_sasl_final(data: bytes) -> bytes:
    return message(b"R", packed("i", _SASL_FINAL), data)


def decode_authentication(body: bytes) -> AuthenticationRequest:
    """Any authentication request. The caller refuses codes that it does not know."""
    reader = BodyReader(body)
    request = AuthenticationRequest(reader.int32(), reader.rest())
    if request.code in _DATALESS and request.data:
        raise RemoteProtocolError("authentication request is longer than its contents say")
    if request.code == _MD5 and len(request.data) != 4:
        raise RemoteProtocolError("salt of unusual length")
    if request.code == _SASL and not request.mechanisms:
        raise RemoteProtocolError("authentication request that offers nothing")
    return request


def decode_password(body: bytes) -> bytes:
    """The password of a PasswordMessage. Raises RemoteProtocolError."""
    reader = BodyReader(body)
    password = reader.string()
    reader.end()
    return password


def encode_password(password: bytes) -> bytes:
    return message(b"p", cstring(password))


def decode_sasl_initial(body: bytes) -> SASLInitialResponse:
    reader = BodyReader(body)
    initial = SASLInitialResponse(_mechanism(reader.string()), reader.value())
    reader.end()
    return initial


def _mechanism(name: bytes) -> str:
    if not name or not name.isascii():
        raise RemoteProtocolError("authentication mechanism without a proper name")
    return name.decode("ascii")


def encode_sasl_initial(mechanism: str, response: bytes | None) -> bytes:
    return message(b"p", cstring(mechanism.encode()), value(response))


def decode_sasl_response(body: bytes) -> bytes:
    """The whole body, which the SASL mechanism reads."""
    return body


def encode_sasl_response(response: bytes) -> bytes:
    return message(b"p", response)


def backend_key_data(pid: int, secret: bytes) -> bytes:
    return message(b"K", packed("i", pid), secret)


def decode_backend_key_data(body: bytes) -> tuple[int, bytes]:
    reader = BodyReader(body)
    pid, secret = reader.int32(), reader.rest()
    if not 4 <= len(secret) <= 256:
        raise RemoteProtocolError("cancel key of unusual length")
    return pid, secret
