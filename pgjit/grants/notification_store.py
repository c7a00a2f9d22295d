"""The contract of the notifications in a store: an outbox, from which the nodes of a fleet take turns to send.

INVARIANT: a change and its notice are committed together. A notification is sent at least once, or its failure is on
record.
Every method raises ServerUnavailable when the store cannot be used.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from pgjit.grants.notification import Notice, QueuedNotification, WaitingNotifications

__all__ = ["NotificationStore"]


class NotificationStore(Protocol):
    async def spread_notices(self, subscriptions: Mapping[str, Collection[str]], now: datetime) -> int:
        """Make a notification of each stored notice for every channel that subscribes to its event.

        `subscriptions`: the events of each channel. If two nodes call this at once, one spreads a notice.
        Returns how many notices were spread.
        """

    async def drop_notices(self, now: datetime, before: datetime) -> None:
        """For a node without channels: delete the notices that were seen before then and that no node has spread."""

    async def add_notifications(self, notices: Sequence[Notice], channels: Collection[str], now: datetime) -> None:
        """Add a notification for each channel, unless it has one with the same key."""

    async def claim_notifications(
        self, channel: str, now: datetime, leased_until: datetime, at_most: int
    ) -> list[QueuedNotification]:
        """Take notifications of a channel that are due; nobody else gets them until `leased_until`.

        INVARIANT: those about one subject are claimed in their order, the next one after the one before is done.
        Loud events go first, then those that came due first. Any number of others that wait holds up none of them.
        The attempt is counted now: after a crash the next one is known to be a repeat.
        """

    async def notification_sent(self, notification: QueuedNotification, at: datetime, place: str | None) -> None:
        """It was sent. `place`: where the message is; None: unchanged."""

    async def retry_notification(
        self,
        notification: QueuedNotification,
        at: datetime,
        next_try: datetime,
        error: str,
        *,
        report: bool,
        missing: Sequence[str] | None = None,
    ) -> None:
        """This attempt failed. `report`: put a record of it into the journal outbox.

        `missing`: the recipients that the next attempt is for; None: as before.
        """

    async def give_up_notification(self, notification: QueuedNotification, at: datetime, error: str) -> None:
        """No further attempt is made; the journal outbox gets a record of it."""

    async def delete_notifications(self, before: datetime) -> None:
        """Delete those that were made, or were sent or given up, before then. No node sends one that is so old.

        They may be of a channel that is not configured any more.
        """

    async def waiting_notifications(self) -> dict[str, WaitingNotifications]:
        """The notifications of each channel that are neither sent nor given up, where there are any."""
