"""The contract of a channel: it sends one message, or reports why it could not. Decides nothing."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from pgjit.notify.announcement import Announcement

__all__ = ["Channel", "NeverSent", "NotSent"]


class NotSent(Exception):
    """This attempt failed, and a later one may succeed. The text is for operators; it holds no secret.

    `after`: seconds that the receiver asks to wait. `report`: a person has to act, so it is recorded at once.
    `missing`: the recipients that were not reached; the others have the message. None: as before the attempt.
    """

    def __init__(
        self,
        why: str,
        *,
        after: float | None = None,
        report: bool = False,
        missing: tuple[str, ...] | None = None,
    ) -> None:
        super().__init__(why)
        self.after = after
        self.report = report
        self.missing = missing


class NeverSent(Exception):
    """The receiver does not take this message, and never will."""


class Channel(Protocol):
    def running(self) -> AbstractAsyncContextManager[None]:
        """Open and close what the channel needs. Raises nothing if the receiver cannot be reached."""

    async def send(self, announcement: Announcement) -> str | None:
        """Send; returns where the message is, if the channel can find it again. Raises NotSent or NeverSent."""
