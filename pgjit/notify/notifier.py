"""Sends the notifications of the store: a loop that spreads notices, and one loop for each channel.

Decides when an attempt is made, how long it may take, when the next one follows, and when it is given up. A channel
that hangs holds up no other. Knows no protocol of a channel.

INVARIANT: a notification is marked as sent after it was sent. A process that is killed in between sends it again, as
a repeat.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Set
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from pgjit.errors import PgjitError
from pgjit.grants.notification import QueuedNotification, WaitingNotifications
from pgjit.grants.store import Store
from pgjit.notify.announcement import announcement_of
from pgjit.notify.channel import Channel, NeverSent, NotSent
from pgjit.notify.sign_offs import sign_off_notices
from pgjit.policy.policy import Policy

__all__ = ["Notifier", "Subscription", "delay_after"]

T = TypeVar("T")
_log = logging.getLogger("pgjit.notify")
_SEND_SECONDS = 30.0
_LEASE = timedelta(seconds=90)
"""Longer than an attempt and the marking of its result. After it another node takes over."""
_AT_ONCE = 8
_EVERY_SECONDS = 1.0
_SWEEP_EVERY = timedelta(minutes=1)
_COUNT_EVERY = timedelta(seconds=10)
_KEPT = timedelta(days=30)
_DROPPED_AFTER = timedelta(days=1)
_FIRST_DELAY, _LONGEST_DELAY = 5.0, 600.0
_LONGEST_RETRY_AFTER = 3600.0
_STOP_SECONDS = 3.0
_LONGEST_ERROR = 500


@dataclass(frozen=True, slots=True)
class Subscription:
    channel: Channel
    events: Set[str]


def delay_after(attempt: int, asked: float | None, chance: float) -> timedelta:
    """How long to wait after a failed attempt: longer each time. `chance`, from 0 to 1, spreads the receivers' load.

    A receiver may ask for a longer wait, up to an hour.
    """
    delay = min(_FIRST_DELAY * 2 ** min(attempt - 1, 20), _LONGEST_DELAY) * (0.5 + chance / 2)
    return timedelta(seconds=max(delay, min(asked or 0.0, _LONGEST_RETRY_AFTER)))


class Notifier:
    """`policies`: by name, as they are now; they say until when a break-glass window is signed off."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], datetime],
        subscriptions: Mapping[str, Subscription],
        policies: Callable[[str], Policy | None],
        *,
        link: str | None = None,
        give_up_after: timedelta = timedelta(days=1),
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._clock = clock
        self._subscriptions = subscriptions
        self._policies = policies
        self._link = link
        self._give_up_after = give_up_after
        self._chance = chance
        self._swept_at: datetime | None = None
        self._counted_at: datetime | None = None
        self._waiting: Mapping[str, WaitingNotifications] = {}
        self._new = {name: asyncio.Event() for name in subscriptions}
        self._failing = False
        self._stopping = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send while the block runs. At its end attempts that are being made get some seconds."""
        async with AsyncExitStack() as stack:
            for each in self._subscriptions.values():
                await stack.enter_async_context(each.channel.running())
            tasks = [asyncio.create_task(self._keep_spreading())]
            tasks += [asyncio.create_task(self._keep_sending(name)) for name in self._subscriptions]
            try:
                yield
            finally:
                self._stopping.set()
                for event in self._new.values():
                    event.set()
                tasks[0].cancel()
                await asyncio.wait(tasks, timeout=_STOP_SECONDS)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def waiting(self) -> dict[str, tuple[int, float]]:
        """For each channel, as counted some seconds ago: how many notifications wait, and how old the oldest is."""
        now, none = self._clock(), (0, 0.0)
        ages = {
            name: (each.count, max(0.0, (now - each.since).total_seconds())) for name, each in self._waiting.items()
        }
        return {name: ages.get(name, none) for name in self._subscriptions}

    # --- from notices to notifications -----------------------------------------------------------------

    async def _keep_spreading(self) -> None:
        seen = 0
        while True:
            await self._try(self.spread())
            seen = await self._store.changes(seen)

    async def spread(self) -> None:
        """Spread the notices; now and then look for sign-offs, and delete what is old. Raises ServerUnavailable."""
        now = self._clock()
        if self._subscriptions:
            events = {name: each.events for name, each in self._subscriptions.items()}
            while await self._store.spread_notices(events, now):
                self._wake()
            if self._counted_at is None or not timedelta() <= now - self._counted_at < _COUNT_EVERY:
                self._waiting, self._counted_at = await self._store.waiting_notifications(), now
        if self._swept_at is None or now - self._swept_at >= _SWEEP_EVERY:
            await self._sweep(now)
            self._swept_at = now

    async def _sweep(self, now: datetime) -> None:
        if not self._subscriptions:
            await self._store.drop_notices(now, now - _DROPPED_AFTER)
            return
        await self._store.delete_notifications(now - _KEPT)
        for event in ("sign_off.due", "sign_off.overdue"):
            channels = [name for name, each in self._subscriptions.items() if event in each.events]
            if channels:
                notices = await sign_off_notices(self._store, self._policies, event, now)
                await self._store.add_notifications(notices, channels, now)
                self._wake()

    def _wake(self) -> None:
        for event in self._new.values():
            event.set()

    # --- from notifications to channels ----------------------------------------------------------------

    async def _keep_sending(self, name: str) -> None:
        new = self._new[name]
        while not self._stopping.is_set():
            new.clear()
            if await self._try(self.send_due(name)):
                continue
            if self._stopping.is_set():
                return
            try:
                await asyncio.wait_for(new.wait(), _EVERY_SECONDS)
            except TimeoutError:
                continue

    async def send_due(self, name: str) -> int:
        """Make an attempt for some notifications of the channel that are due; returns of how many."""
        now = self._clock()
        claimed = await self._store.claim_notifications(name, now, now + _LEASE, _AT_ONCE)
        results = await asyncio.gather(*(self._attempt(each) for each in claimed), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result  # its lease ends, and it is sent again
        return len(claimed)

    async def _attempt(self, notification: QueuedNotification) -> None:
        channel = self._subscriptions[notification.channel].channel
        try:
            announcement = announcement_of(notification, self._link)
        except (ValueError, KeyError, TypeError) as fault:
            await self._give_up(notification, f"cannot be read: {type(fault).__name__}")
            return
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                place = await channel.send(announcement)
        except TimeoutError:
            await self._failed(notification, NotSent("no answer in time"))
        except NotSent as fault:
            await self._failed(notification, fault)
        except NeverSent as fault:
            await self._give_up(notification, str(fault))
        except Exception as fault:  # noqa: BLE001 - a fault of one channel must not stop the others
            _log.exception("%s", _words(notification))
            await self._failed(notification, NotSent(f"internal error: {type(fault).__name__}"))
        else:
            await self._store.notification_sent(notification, self._clock(), place)

    async def _failed(self, notification: QueuedNotification, fault: NotSent) -> None:
        now, error = self._clock(), str(fault)[:_LONGEST_ERROR]
        next_try = now + delay_after(notification.attempt, fault.after, self._chance())
        if next_try > notification.created_at + self._give_up_after:
            await self._give_up(notification, error)
            return
        _log.warning("%s: attempt %d failed: %s", _words(notification), notification.attempt, error)
        report = fault.report and error != notification.error  # once for each cause
        await self._store.retry_notification(notification, now, next_try, error, report=report, missing=fault.missing)

    async def _give_up(self, notification: QueuedNotification, error: str) -> None:
        _log.error("%s is given up after %d attempts: %s", _words(notification), notification.attempt, error)
        await self._store.give_up_notification(notification, self._clock(), error[:_LONGEST_ERROR])

    async def _try(self, work: Awaitable[T]) -> T | None:
        """The result of `work`; a failure of the store is logged once, and the caller tries again."""
        try:
            result = await work
        except PgjitError as fault:
            if not self._failing:
                _log.error("notifications cannot be read from the store or marked in it: %s", fault.message)
            self._failing = True
            return None
        except Exception:  # noqa: BLE001 - the loop must go on
            _log.exception("notifications")
            return None
        self._failing = False
        return result


def _words(notification: QueuedNotification) -> str:
    return f"notification {notification.id} ({notification.event}) by channel {notification.channel}"
