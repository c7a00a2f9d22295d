"""What `pgjit notify test` does: send one test message by a channel, past the store."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace

from pgjit.clock import Clock
from pgjit.config import Config
from pgjit.errors import ServerUnavailable
from pgjit.grants.notification import QueuedNotification
from pgjit.notify.announcement import announcement_of
from pgjit.notify.channel import NeverSent, NotSent
from pgjit.notify.channels import channel_of
from pgjit.notify.section import NotifySection

__all__ = ["send_test"]

_SECONDS = 30.0


async def send_test(config: Config, section: NotifySection, name: str) -> None:
    """Raises ServerUnavailable with what the channel says. `name` is one of the section's channels."""
    clock = Clock()
    channel = channel_of(section, name, config.channel_secrets, config.folder, clock)
    subject = uuid.uuid4().hex
    queued = QueuedNotification(
        id=f"n_{subject}",
        channel=name,
        event="test",
        subject=f"t_{subject}",
        body="{}",
        created_at=clock(),
        attempt=1,
    )
    announcement = replace(announcement_of(queued), link=None)
    try:
        async with channel.running(), asyncio.timeout(_SECONDS):
            await channel.send(announcement)
    except (NotSent, NeverSent, TimeoutError) as fault:
        raise ServerUnavailable(
            f"channel `{name}` did not send the test message",
            reference="notification-not-sent",
            detail=str(fault) or "No answer in time.",
        ) from None
