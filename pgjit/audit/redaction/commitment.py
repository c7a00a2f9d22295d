"""A value that may be deleted later without breaking the proof: the line holds a commitment instead of the value.

Decides how a commitment is made of a member's name, a random salt and the value. The salt and the value are kept
beside the journal; deleting both leaves a line that is proved as before, and whose value nobody can find by trying.
INVARIANT: each member of each line has a salt of its own; an unsalted short value could be guessed. Pure.
"""

from __future__ import annotations

from hashlib import sha256
from secrets import compare_digest

__all__ = ["SALT_BYTES", "commitment", "commitment_holds"]

SALT_BYTES = 16
_TAG = b"pgjit/commit/v1\x00"


def commitment(name: str, salt: bytes, value: bytes) -> bytes:
    """32 bytes. `name`: the member of the record. Raises ValueError for a salt of another length, or a long name."""
    encoded = name.encode()
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes, not {len(salt)}")
    if len(encoded) > 0xFFFF:
        raise ValueError("the name of a member has at most 65535 bytes")
    return sha256(_TAG + len(encoded).to_bytes(2) + encoded + salt + value).digest()


def commitment_holds(committed: bytes, name: str, salt: bytes, value: bytes) -> bool:
    """Whether `value` is the one that `committed` stands for."""
    return compare_digest(committed, commitment(name, salt, value))
