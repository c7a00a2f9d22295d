"""A file that proves one line of the journal (c2sp.org/tlog-proof@v1). The public key is enough to check it.

Decides its format and whether it holds. The line itself is kept in the file as its `extra` data. Pure.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import NamedTuple

from pgjit.audit.proof.checkpoint import SignedCheckpoint
from pgjit.audit.proof.note import NoteRejected, VerifierKey
from pgjit.audit.proof.tree import HASH_BYTES, inclusion_holds, leaf_hash

__all__ = ["InclusionFile"]

_HEAD = "c2sp.org/tlog-proof@v1"
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})\Z")
_MOST_BYTES = 64 << 20  # a line holds a whole statement
_MOST_HASHES = 63


class InclusionFile(NamedTuple):
    line: bytes
    line_index: int
    proof: tuple[bytes, ...]
    checkpoint: SignedCheckpoint

    @classmethod
    def parse(cls, content: bytes) -> InclusionFile:
        """Raises NoteRejected if it is no proof of a line. Does not check it."""
        if len(content) > _MOST_BYTES:
            raise NoteRejected(f"it has more than {_MOST_BYTES} bytes")
        head, separator, note = content.partition(b"\n\n")
        try:
            first, *lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError:
            first, lines = "", []
        if first != _HEAD or not separator:
            raise NoteRejected(f"it is no proof of a line: its first line is not `{_HEAD}`")
        if not lines or not lines[0].startswith("extra "):
            raise NoteRejected("it does not contain the line that it proves")
        if len(lines) < 2 or (index := _INDEX.match(lines[1])) is None:
            raise NoteRejected("it does not say the index of its line")
        proof = tuple(map(_decode, lines[2:]))
        if len(proof) > _MOST_HASHES or any(len(digest) != HASH_BYTES for digest in proof):
            raise NoteRejected("one of its hashes is not a SHA-256 hash, or it has too many")
        return cls(_decode(lines[0].removeprefix("extra ")), int(index[1]), proof, SignedCheckpoint.parse(note))

    def content(self) -> bytes:
        lines = [_HEAD, f"extra {_encode(self.line)}", f"index {self.line_index}", *map(_encode, self.proof)]
        return "\n".join(lines).encode() + b"\n\n" + self.checkpoint.note.content()

    def check(self, keys: Iterable[VerifierKey]) -> None:
        """Raises NoteRejected unless one of `keys` signed a tree with exactly this line at this index."""
        self.checkpoint.check_signed(keys)
        signed = self.checkpoint.checkpoint
        if not inclusion_holds(leaf_hash(self.line), self.line_index, signed.size, self.proof, signed.root):
            raise NoteRejected(
                f"the signed tree of {signed.size} lines does not have this line at index {self.line_index}"
            )


def _encode(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise NoteRejected("one of its lines is not base64") from None
