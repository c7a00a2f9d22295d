"""Signed notes and their keys (c2sp.org/signed-note): a text, an empty line, and lines with signatures.

A key has a name; the signature line names it, and a four-byte id that is derived from the name, the type and the key.
Decides what a note is, and which signatures of it hold. Pure. Does not know what the text says.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

__all__ = ["COSIGNATURE", "ED25519", "NoteRejected", "NoteSignature", "SignedNote", "VerifierKey"]

ED25519 = 0x01
"""The type of a key that signs the text of a note."""
COSIGNATURE = 0x04
"""The type of a witness's key (c2sp.org/tlog-cosignature): it signs a time with the text."""

_MOST_BYTES = 64 * 1024
_MOST_SIGNATURES = 64
_SIGNATURE_LINE = re.compile(r"— (?P<name>[^ ]+) (?P<payload>[A-Za-z0-9+/]+={0,2})\Z")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_KEY_BYTES = 32


class NoteRejected(ValueError):
    """A note, a key or a signature that is not accepted; the text says why."""


class NoteSignature(NamedTuple):
    name: str
    key_id: bytes
    signature: bytes

    @property
    def line(self) -> str:
        return f"— {self.name} {base64.b64encode(self.key_id + self.signature).decode()}\n"


class VerifierKey(NamedTuple):
    """A public key with its name."""

    name: str
    kind: int
    public: bytes

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """From `name+id+key`. Raises NoteRejected."""
        name, *rest = text.strip().split("+", 2)
        if len(rest) != 2:
            raise NoteRejected("a public key has the form `name+id+key`")
        payload = _from_base64(rest[1])
        if payload[:1] not in (bytes([ED25519]), bytes([COSIGNATURE])) or len(payload) != 1 + _KEY_BYTES:
            raise NoteRejected(f"the public key of `{name}` is not an Ed25519 key")
        key = cls.of(name, payload[1:], payload[0])
        if key.key_id.hex() != rest[0]:
            raise NoteRejected(
                f"the id of the public key of `{name}` is `{rest[0]}`, and should be `{key.key_id.hex()}`"
            )
        return key

    @classmethod
    def of(cls, name: str, public: bytes, kind: int = ED25519) -> VerifierKey:
        """Raises NoteRejected if `name` cannot be the name of a key."""
        if not name or "+" in name or _CONTROL.search(name) or any(character.isspace() for character in name):
            raise NoteRejected(f"`{name}` cannot be the name of a key: it may have neither spaces nor `+`")
        return cls(name, kind, public)

    @property
    def key_id(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    @property
    def text(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(bytes([self.kind]) + self.public).decode()}"

    def signed(self, message: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's over the bytes of `message`."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


class SignedNote(NamedTuple):
    text: str  # ends in a newline
    signatures: tuple[NoteSignature, ...]

    @classmethod
    def parse(cls, content: bytes) -> SignedNote:
        """Raises NoteRejected."""
        if len(content) > _MOST_BYTES:
            raise NoteRejected(f"it has more than {_MOST_BYTES} bytes")
        try:
            whole = content.decode()
        except UnicodeDecodeError:
            raise NoteRejected("it is not UTF-8") from None
        if _CONTROL.search(whole):
            raise NoteRejected("it has control characters")
        text, separator, lines = whole.rpartition("\n\n")
        if not separator or not lines.endswith("\n"):
            raise NoteRejected("it has no signatures after an empty line")
        signatures = tuple(map(_parse_signature, lines[:-1].split("\n")))
        if len(signatures) > _MOST_SIGNATURES:
            raise NoteRejected(f"it has more than {_MOST_SIGNATURES} signatures")
        return cls(text + "\n", signatures)

    def content(self) -> bytes:
        return (self.text + "\n" + "".join(signature.line for signature in self.signatures)).encode()

    def signed_by(self, keys: Iterable[VerifierKey]) -> tuple[VerifierKey, ...]:
        """The keys of type Ed25519 whose signatures it has; other signatures are ignored.

        Raises NoteRejected if the signature of one of the keys does not hold.
        """
        known = {(key.name, key.key_id): key for key in keys if key.kind == ED25519}
        signers = []
        for signature in self.signatures:
            key = known.get((signature.name, signature.key_id))
            if key is None:
                continue
            if not key.signed(self.text.encode(), signature.signature):
                raise NoteRejected(f"the signature of `{key.name}` does not hold")
            signers.append(key)
        return tuple(signers)

    def with_signatures(self, more: Iterable[NoteSignature]) -> SignedNote:
        return SignedNote(self.text, (*self.signatures, *more))


def _parse_signature(line: str) -> NoteSignature:
    match = _SIGNATURE_LINE.match(line)
    if match is None:
        raise NoteRejected("a line after the empty line is not a signature")
    payload = _from_base64(match["payload"])
    if len(payload) < 5 or "+" in match["name"] or any(character.isspace() for character in match["name"]):
        raise NoteRejected("a line after the empty line is not a signature")
    return NoteSignature(match["name"], payload[:4], payload[4:])


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteRejected("it is not base64") from None
