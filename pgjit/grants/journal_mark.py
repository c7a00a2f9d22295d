"""The last record of a journal that the store has noted. At the next start it shows whether the journal lost any."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["JournalMark"]


@dataclass(frozen=True, slots=True)
class JournalMark:
    """A record that survives a crash of the machine: its number, and the SHA-256 of its line in hexadecimal."""

    seq: int
    sha256: str
