"""The contract of a window store: it keeps what lifecycle.py decides.

Every method but `close` raises ServerUnavailable when the store cannot be used.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Protocol

from pgjit.grants.actor import Actor
from pgjit.grants.fleet_store import FleetStore
from pgjit.grants.journal_entry import JournalEntry
from pgjit.grants.journal_mark import JournalMark
from pgjit.grants.kept_backend import KeptBackend
from pgjit.grants.listing import ListPage, RequestFilter, WindowFilter
from pgjit.grants.lock import Lock
from pgjit.grants.notification_store import NotificationStore
from pgjit.grants.outbox import OutboxEntry, RecordKind
from pgjit.grants.request import Request
from pgjit.grants.saved_search import SearchStore
from pgjit.grants.scope import Scope
from pgjit.grants.sign_in_store import SignInStore
from pgjit.grants.standing_orders import SessionKill, StandingOrders
from pgjit.grants.usage import Usage
from pgjit.grants.window import Login, LoginAsk, SignOff, Window
from pgjit.identity.directory import DirectoryAnswer, Principal
from pgjit.identity.identity import IdentityKey
from pgjit.policy.policy import Policy

__all__ = ["Store"]


class Store(FleetStore, NotificationStore, SignInStore, SearchStore, Protocol):
    @property
    def usable(self) -> bool:
        """Whether the last transaction was carried out."""

    async def open(self) -> None:
        """Open the store, and check its schema. A store in a file is opened for this process alone, and upgraded."""

    async def changes(self, seen: int) -> int:
        """Wait until something was decided, revoked, locked, killed or ended, on any node; or for a second.

        Returns a number that is another one than `seen`, the result of the call before, if there was a change. It
        raises nothing: while the store cannot be used, it returns after a second.
        """

    async def admit(
        self,
        identity: IdentityKey,
        policy: Policy,
        now: datetime,
        login: Login | None = None,
        note: str | None = None,
        ask: LoginAsk | None = None,
        sessions: int = 0,
    ) -> tuple[Window, bool]:
        """Join the identity's window under `policy`, or open one; True if this call opened it.

        With `note`, an entry for the opening is put into the outbox in the same transaction.

        The transaction excludes every other `admit`, so that two logins at once open one window. Raises AccessRefused
        if lifecycle.py refuses (CoolingDown is one).

        From then on this node has the window, with `sessions` sessions. Raises TooManySessions if those of all nodes
        are more than the policy allows.

        Under `grant: review` the approved request is used up in the same transaction, if it is for exactly `ask`.
        """

    async def end(self, window_id: str, at: datetime, reason: str, note: str | None = None) -> bool:
        """This node has ended its sessions of the window. If no other node has it, mark the window ended.

        Returns True if this call did; then the end is set and never changes. While another node has the window, the
        window is ending: nobody joins it, and that node ends it too.

        With `note`, an entry for an end that is set now is put into the outbox in the same transaction.
        """

    async def outbox(self) -> list[OutboxEntry]:
        """The records that this node's journal has still to take, by window, an opening before an end."""

    async def recorded(self, window_id: str, kind: RecordKind) -> None:
        """The journal has taken the record: delete its entry from the outbox."""

    async def usage(self, window_id: str) -> Usage:
        """The usage that was noted; zero if none was."""

    async def note_usage(self, window_id: str, used: Usage) -> None:
        """Keep the usage so far. It only grows."""

    async def unended(self, *, own: bool = False) -> list[Window]:
        """Windows that are not marked ended, whether their time is over or not.

        `own`: those that this node has, or no node.
        """

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

    async def backends(self, *, own: bool = False) -> list[KeptBackend]:
        """The backends that are not known to be gone, of this process and of earlier ones. `own`: of this node."""

    async def note_backends(self, begun: Sequence[KeptBackend], over: Collection[str]) -> None:
        """Insert the backends that have begun; delete those that are gone, by session id."""

    async def clock_floor(self) -> datetime | None:
        """The latest moment in the store: the clock of a process that starts must not be behind it."""

    async def file_request(self, request: Request, now: datetime, *, at_most: int) -> Request:
        """Insert a pending request; or return the live one with the same digest.

        A live one of the same identity and policy with another digest is withdrawn. Raises TooManyRequests for more
        than `at_most` in an hour, ReviewRefused in the cooldown of a refusal, Locked.
        """

    async def request(self, request_id: str) -> Request | None:
        """The request of this id."""

    async def requests(self, narrowed: RequestFilter, after: str | None = None, limit: int = 50) -> ListPage[Request]:
        """The requests, newest first. Raises ValueError for a cursor that no page gave."""

    async def change_request(self, request_id: str, change: Callable[[Request], Request], now: datetime) -> Request:
        """Replace the request with `change(request)` in one transaction, and put its records into the journal outbox.

        An error that `change` raises leaves everything as it was. Raises RequestUnknown, and RequestLapsed for a
        request whose time is over, which is lapsed by then.
        """

    async def lapse_requests(self, now: datetime) -> list[Request]:
        """Lapse the requests whose time is over; returns them. Called regularly, it moves the clock floor."""

    async def window(self, window_id: str) -> Window | None:
        """The window of this id."""

    async def windows(self, narrowed: WindowFilter, after: str | None = None, limit: int = 50) -> ListPage[Window]:
        """The windows, newest first. Raises ValueError for a cursor that no page gave."""

    async def revoke(self, scope: Scope, by: Actor, reason: str, at: datetime) -> list[Window]:
        """Mark the windows in the scope that are not ended as revoked; returns those that this call marked.

        Approved requests in the scope are withdrawn. No window opens before `retry_at` of the one that was revoked.
        Every node has to end their sessions; see `standing_orders`.
        """

    async def sign_off(self, window_id: str, sign_off: SignOff) -> Window:
        """Note that a person looked at a break-glass window.

        Raises WindowUnknown, SignedOffByUser, AlreadySignedOff (also for a window that is not of break-glass) and
        WindowNotOver.
        """

    async def set_lock(self, lock: Lock) -> None:
        """Keep the lock. Every node has to end the sessions in its scope; see `standing_orders`."""

    async def lift_lock(self, lock_id: str, by: Actor, reason: str, at: datetime) -> Lock | None:
        """Lift the lock; None if there is none of this id in force."""

    async def locks(self, now: datetime) -> list[Lock]:
        """The locks in force."""

    async def kill_session(self, kill: SessionKill) -> None:
        """Keep the order to end one session, for the node that has it."""

    async def session_ended(self, session_id: str) -> None:
        """The session is gone: its order to end is carried out."""

    async def standing_orders(self, now: datetime) -> StandingOrders:
        """What every node has to enforce now."""

    async def journal_outbox(self) -> list[JournalEntry]:
        """The records of this node that its journal has still to take, in order."""

    async def put_into_journal_outbox(self, kind: str, subject: str, note: str) -> None:
        """Add an entry that records no change of the store."""

    async def journal_took(self, entry_ids: Collection[int]) -> None:
        """The journal has taken these records: delete their entries."""

    async def close(self) -> None: ...
