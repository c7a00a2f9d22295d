"""The contract of a window store: it keeps what lifecycle.py decides.

Every method but `close` raises ServerUnavailable when the store cannot be used.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from pgjit.grants.journal_mark import JournalMark
from pgjit.grants.kept_backend import KeptBackend
from pgjit.grants.outbox import OutboxEntry, RecordKind
from pgjit.grants.usage import Usage
from pgjit.grants.window import Login, Window
from pgjit.identity.directory import DirectoryAnswer, Principal
from pgjit.identity.identity import IdentityKey
from pgjit.policy.policy import Policy

__all__ = ["Store"]


class Store(Protocol):
    async def open(self) -> None:
        """Open the store for this process alone, and bring its schema up to date."""

    async def admit(
        self,
        identity: IdentityKey,
        policy: Policy,
        now: datetime,
        login: Login | None = None,
        note: str | None = None,
    ) -> tuple[Window, bool]:
        """Join the identity's window under `policy`, or open one; True if this call opened it.

        With `note`, an entry for the opening is put into the outbox in the same transaction.

        The transaction excludes every other `admit`, so that two logins at once open one window. Raises AccessRefused
        if lifecycle.py refuses (CoolingDown is one).
        """

    async def end(self, window_id: str, at: datetime, reason: str, note: str | None = None) -> bool:
        """Mark the window ended; False if it already was. Never changes an end that is set.

        With `note`, an entry for an end that is set now is put into the outbox in the same transaction.
        """

    async def outbox(self) -> list[OutboxEntry]:
        """The records that the journal has still to take, in the order of the windows, an opening before an end."""

    async def recorded(self, window_id: str, kind: RecordKind) -> None:
        """The journal has taken the record: delete its entry from the outbox."""

    async def usage(self, window_id: str) -> Usage:
        """The usage that was noted; zero if none was."""

    async def note_usage(self, window_id: str, used: Usage) -> None:
        """Keep the usage so far. It only grows."""

    async def unended(self) -> list[Window]:
        """Windows that no process has marked ended, whether their time is over or not."""

    async def known(self, window_ids: Collection[str]) -> dict[str, Window]:
        """The windows of these ids that the store has, by id."""

    async def restore(self, windows: Sequence[Window], now: datetime) -> None:
        """Insert windows that the store has lost.

        The store has lost used tokens too: from then on every token issued before `now` counts as used.
        """

    async def journal_mark(self, journal: str) -> JournalMark | None:
        """The last record of that journal that was noted."""

    async def note_journal_mark(self, journal: str, mark: JournalMark) -> None:
        """Note the last record of that journal."""

    async def keep_denial(self, principal: Principal, answer: DirectoryAnswer, until: datetime) -> None:
        """Keep until `until` that the directory denied the principal, in place of an earlier denial."""

    async def drop_denial(self, principal: Principal) -> None:
        """Delete the denial: the directory has confirmed the principal since."""

    async def denials(self, now: datetime) -> list[tuple[Principal, DirectoryAnswer]]:
        """The denials that are to be kept beyond `now`."""

    async def backends(self) -> list[KeptBackend]:
        """The backends that are not known to be gone, of this process and of earlier ones."""

    async def note_backends(self, begun: Sequence[KeptBackend], over: Collection[str]) -> None:
        """Insert the backends that have begun; delete those that are gone, by session id."""

    async def clock_floor(self) -> datetime | None:
        """The latest moment in the store: the clock of a process that starts must not be behind it."""

    async def close(self) -> None: ...
