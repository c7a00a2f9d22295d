"""The table of records that the journal has still to take. Its entries are committed with what they record.

An entry that people may want to hear of is committed with its notice (`notification_rows.py`).
"""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from pgjit.grants.journal_entry import JournalEntry
from pgjit.grants.stores.database import announce
from pgjit.grants.stores.notification_rows import add_notice
from pgjit.grants.stores.review_schema import journal_outbox

__all__ = ["add_entry", "delete_entries", "entries_of"]


def add_entry(connection: sa.Connection, node: str, kind: str, subject: str, note: str) -> None:
    announce(connection)
    connection.execute(sa.insert(journal_outbox).values(node=node, kind=kind, subject=subject, note=note))
    add_notice(connection, kind, subject, note)


def entries_of(connection: sa.Connection, node: str) -> list[JournalEntry]:
    query = sa.select(journal_outbox).where(journal_outbox.c.node == node).order_by(journal_outbox.c.id)
    return [
        JournalEntry(id=row.id, node=row.node, kind=row.kind, subject=row.subject, note=row.note)
        for row in connection.execute(query)
    ]


def delete_entries(connection: sa.Connection, entry_ids: Collection[int]) -> None:
    connection.execute(sa.delete(journal_outbox).where(journal_outbox.c.id.in_(list(entry_ids))))
