"""From the configuration to channels that can send: one function for each kind, listed in one place."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from pgjit.notify.channel import Channel
from pgjit.notify.notifier import Subscription
from pgjit.notify.section import ChannelSecrets, ChannelSection, NotifySection
from pgjit.notify.webhook import Webhook

__all__ = ["subscriptions_of"]


def subscriptions_of(
    section: NotifySection,
    secrets: ChannelSecrets,
    clock: Callable[[], datetime],
) -> dict[str, Subscription]:
    return {
        name: Subscription(_channel(name, channel, secrets, clock), channel.subscribed)
        for name, channel in section.channels.items()
    }


def _channel(
    name: str,
    section: ChannelSection,
    secrets: ChannelSecrets,
    clock: Callable[[], datetime],
) -> Channel:
    if section.webhook is not None:
        return Webhook(section.webhook.url, secrets[name, "secret"], clock)
    raise NotImplementedError(name)
