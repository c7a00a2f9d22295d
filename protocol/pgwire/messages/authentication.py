"""Authentication on both sides: what the proxy asks its client, what the server asks the proxy."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from pgwire.errors import RemoteProtocolError
from pgwire.reader import BodyReader, cstring, message

__all__ = [
    "AuthenticationRequest",
    "authentication_cleartext",
    "authentication_ok",
    "backend_key_data",
    "decode_authentication",
    "decode_backend_key_data",
    "decode_password",
    "encode_password",
    "encode_sasl_initial",
    "encode_sasl_response",
]

_CODE = struct.Struct("!i")


@dataclass(frozen=True, slots=True)
class AuthenticationRequest:
    """`code`: 0 Ok, 3 cleartext, 5 MD5, 10 SASL, 11 SASLContinue, 12 SASLFinal; `data`: what follows it."""

    code: int
    data: bytes

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """Of a SASL request (10): the names offered, in the server's order. Raises RemoteProtocolError."""
        reader = BodyReader(self.data)
        names = []
        while name := reader.string():
            names.append(name.decode("ascii", "replace"))
        reader.end()
        return tuple(names)


def authentication_ok() -> bytes:
    return message(b"R", _CODE.pack(0))


def authentication_cleartext() -> bytes:
    return message(b"R", _CODE.pack(3))


def decode_authentication(body: bytes) -> AuthenticationRequest:
    reader = BodyReader(body)
    return AuthenticationRequest(reader.int32(), reader.take(reader.left))


def decode_password(body: bytes) -> bytes:
    """The password of a PasswordMessage. Raises RemoteProtocolError."""
    reader = BodyReader(body)
    password = reader.string()
    reader.end()
    return password


def encode_password(password: bytes) -> bytes:
    return message(b"p", cstring(password))


def encode_sasl_initial(mechanism: str, response: bytes) -> bytes:
    return message(b"p", cstring(mechanism.encode()), _CODE.pack(len(response)), response)


def encode_sasl_response(response: bytes) -> bytes:
    return message(b"p", response)


def backend_key_data(pid: int, secret: bytes) -> bytes:
    return message(b"K", _CODE.pack(pid), secret)


def decode_backend_key_data(body: bytes) -> tuple[int, bytes]:
    reader = BodyReader(body)
    pid, secret = reader.int32(), reader.take(reader.left)
    if not 4 <= len(secret) <= 256:
        raise RemoteProtocolError("cancel key of unusual length")
    return pid, secret
