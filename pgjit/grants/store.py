"""The contract of a window store. It keeps; lifecycle.py decides."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from pgjit.grants.journal_mark import JournalMark
from pgjit.grants.kept_backend import KeptBackend
from pgjit.grants.outbox import Kind, OutboxEntry
from pgjit.grants.usage import Usage
from pgjit.grants.window import Login, Window
from pgjit.identity.directory import DirectoryAnswer, Principal
from pgjit.identity.identity import IdentityKey
from pgjit.policy.policy import Policy

__all__ = ["Store"]


class Store(Protocol):
    async def open(self) -> None:
        """Open and migrate, for this process alone. Raises ServerUnavailable when that cannot be done."""

    async def admit(
        self,
        identity: IdentityKey,
        policy: Policy,
        now: datetime,
        login: Login | None = None,
        note: str | None = None,
    ) -> tuple[Window, bool]:
        """Join the identity's window under `policy`, or open one; True if it was opened now.

        With `note` the record of an opening is due from then on, and kept with the window.

        One transaction that excludes every other `admit`, so that two connections at once open one window.
        Raises AccessRefused where lifecycle.py refuses (CoolingDown is one), and ServerUnavailable when the store
        cannot be used: nothing is admitted then.
        """

    async def end(self, window_id: str, at: datetime, reason: str, note: str | None = None) -> bool:
        """Mark the window ended; False if it already was. Never moves an end that is set.

        With `note` the record of an end that is set now is due from then on.
        """

    async def due(self) -> list[OutboxEntry]:
        """What the journal has yet to be told, in the order of the windows, an opening before an end."""

    async def recorded(self, window_id: str, kind: Kind) -> None:
        """The journal has taken it. Raises ServerUnavailable."""

    async def usage(self, window_id: str) -> Usage:
        """What was noted of its use; nothing, where nothing was. Raises ServerUnavailable."""

    async def note_usage(self, window_id: str, used: Usage) -> None:
        """Keep what was used so far: it only grows. Raises ServerUnavailable."""

    async def unended(self) -> list[Window]:
        """Windows that no process has marked ended yet, whether their time is over or not."""

    async def known(self, window_ids: Collection[str]) -> dict[str, Window]:
        """Those of the windows that are in the store, by id. Raises ServerUnavailable."""

    async def restore(self, windows: Sequence[Window], now: datetime) -> None:
        """Keep windows that the store has lost, as they are given. Raises ServerUnavailable.

        From then on a token that was issued before `now` is not accepted as one that was never used.
        """

    async def journal_mark(self, journal: str) -> JournalMark | None:
        """How far the store has seen the journal of that name. Raises ServerUnavailable."""

    async def note_journal_mark(self, journal: str, mark: JournalMark) -> None:
        """Keep how far it has seen it. Raises ServerUnavailable."""

    async def keep_denial(self, principal: Principal, found: DirectoryAnswer, until: datetime) -> None:
        """Keep what a directory has denied, in place of what it said of the principal before.

        Raises ServerUnavailable.
        """

    async def drop_denial(self, principal: Principal) -> None:
        """The directory has said yes since. Raises ServerUnavailable."""

    async def denials(self, now: datetime) -> list[tuple[Principal, DirectoryAnswer]]:
        """Those that are to be kept for longer than `now`. Raises ServerUnavailable."""

    async def backends(self) -> list[KeptBackend]:
        """Those that were not noted to be over, whoever noted them. Raises ServerUnavailable."""

    async def note_backends(self, begun: Sequence[KeptBackend], over: Collection[str]) -> None:
        """Keep those that have begun; forget those that are over, by session. Raises ServerUnavailable."""

    async def clock_floor(self) -> datetime | None:
        """The latest moment in the store: the clock of a process that starts now is not behind it."""

    async def close(self) -> None: ...
