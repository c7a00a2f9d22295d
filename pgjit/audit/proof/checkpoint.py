"""A checkpoint: the size and the root of a journal's tree, signed by its key (c2sp.org/tlog-checkpoint).

Decides how a checkpoint is written and read, what a witness's cosignature is (c2sp.org/tlog-cosignature), and whose
checkpoint is accepted for a journal. Pure: it gets the function that signs.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from pgjit.audit.proof.note import (
    COSIGNATURE,
    NoteRejected,
    NoteSignature,
    SignedNote,
    VerifierKey,
)
from pgjit.audit.proof.tree import HASH_BYTES

__all__ = ["Checkpoint", "SignedCheckpoint", "cosignature_message", "cosigned_at"]

_SIZE = re.compile(r"(0|[1-9][0-9]{0,18})\Z")


class Checkpoint(NamedTuple):
    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """From the text of a note. Raises NoteRejected."""
        lines = text.removesuffix("\n").split("\n")
        if not text.endswith("\n") or len(lines) < 3 or not all(lines):
            raise NoteRejected("it is no checkpoint: it needs an origin, a size and a root")
        origin, size, root, *extensions = lines
        if not _SIZE.match(size):
            raise NoteRejected(f"`{size[:40]}` is not the size of a tree")
        try:
            digest = base64.b64decode(root, validate=True)
        except binascii.Error:
            digest = b""
        if len(digest) != HASH_BYTES:
            raise NoteRejected("its third line is not the base64 of a SHA-256 hash")
        return cls(origin, int(size), digest, tuple(extensions))

    @property
    def text(self) -> str:
        head = f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"
        return head + "".join(f"{line}\n" for line in self.extensions)


class SignedCheckpoint(NamedTuple):
    checkpoint: Checkpoint
    note: SignedNote

    @classmethod
    def parse(cls, content: bytes) -> SignedCheckpoint:
        """Does not check a signature. Raises NoteRejected."""
        note = SignedNote.parse(content)
        return cls(Checkpoint.parse(note.text), note)

    @classmethod
    def of(cls, checkpoint: Checkpoint, key: VerifierKey, signature: bytes) -> SignedCheckpoint:
        """Raises NoteRejected if `signature` is not that of `key`."""
        if not key.signed(checkpoint.text.encode(), signature):
            raise NoteRejected(f"the signature is not that of the key `{key.text}`")
        return cls(checkpoint, SignedNote(checkpoint.text, (NoteSignature(key.name, key.key_id, signature),)))

    def check_signed(self, keys: Iterable[VerifierKey]) -> None:
        """Raises NoteRejected unless one of `keys` signed it, and none of their signatures is wrong."""
        if not self.note.signed_by(keys):
            names = ", ".join(f"`{signature.name}` ({signature.key_id.hex()})" for signature in self.note.signatures)
            raise NoteRejected(f"it is not signed by the given key, but by {names}")

    def with_cosignatures(self, more: Iterable[NoteSignature]) -> SignedCheckpoint:
        return SignedCheckpoint(self.checkpoint, self.note.with_signatures(more))


def cosignature_message(text: str, seconds: int) -> bytes:
    """What a witness signs: that this was the largest consistent tree that it had seen at that time."""
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def cosigned_at(text: str, signature: NoteSignature, witness: VerifierKey) -> datetime:
    """When `witness` cosigned the checkpoint of this text. Raises NoteRejected unless the cosignature holds."""
    if witness.kind != COSIGNATURE or (signature.name, signature.key_id) != (witness.name, witness.key_id):
        raise NoteRejected(f"it is not a cosignature of `{witness.name}`")
    if len(signature.signature) != 72:
        raise NoteRejected(f"the cosignature of `{witness.name}` has a wrong length")
    seconds = int.from_bytes(signature.signature[:8])
    if not witness.signed(cosignature_message(text, seconds), signature.signature[8:]):
        raise NoteRejected(f"the cosignature of `{witness.name}` does not hold")
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        raise NoteRejected(f"the cosignature of `{witness.name}` has an impossible time") from None
