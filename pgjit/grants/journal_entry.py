"""A record that the journal has still to take, of any kind. The store commits it with the change that it records."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["JournalEntry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """`kind` is a record's name, such as `request.made`; `subject` the id it is about; `note` its fields as JSON.

    `node` writes it into its journal; an entry is taken once.
    """

    id: int
    node: str
    kind: str
    subject: str
    note: str
