"""Up to which record a store has seen its journal. A value: the journal gives it, the store keeps it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["JournalMark"]


@dataclass(frozen=True, slots=True)
class JournalMark:
    """A record that outlives the machine: its number, and the SHA-256 of its line in hexadecimal."""

    seq: int
    sha256: str
