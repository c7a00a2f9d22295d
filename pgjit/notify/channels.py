"""From the configuration to channels that can send: one function for each kind, listed in one place."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from pgjit.clock import Clock
from pgjit.grants.requests import Requests
from pgjit.grants.ties import Ties
from pgjit.identity.directory import Directory
from pgjit.notify.channel import Channel
from pgjit.notify.mail import Mail
from pgjit.notify.notifier import Subscription
from pgjit.notify.people import People
from pgjit.notify.section import ChannelSecrets, ChannelSection, MailSection, NotifySection, SlackSection
from pgjit.notify.teams import Teams
from pgjit.notify.webhook import Webhook

__all__ = ["ChannelNeeds", "channel_of", "subscriptions_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelNeeds:
    """What the channels use of the application."""

    secrets: ChannelSecrets
    folder: Path
    clock: Clock
    requests: Requests | None  # None: no click is received
    directory: Directory | None = None
    ties: Ties | None = None


def subscriptions_of(section: NotifySection, needs: ChannelNeeds) -> dict[str, Subscription]:
    people = People(section.people)
    return {
        name: Subscription(_channel(name, channel, people, needs), channel.subscribed)
        for name, channel in section.channels.items()
    }


def channel_of(section: NotifySection, name: str, secrets: ChannelSecrets, folder: Path, clock: Clock) -> Channel:
    """One channel that sends what is about no request, and receives nothing."""
    needs = ChannelNeeds(secrets=secrets, folder=folder, clock=clock, requests=None)
    return _channel(name, section.channels[name], People(section.people), needs)


def _channel(name: str, section: ChannelSection, people: People, needs: ChannelNeeds) -> Channel:
    if section.webhook is not None:
        return Webhook(section.webhook.url, needs.secrets[name, "secret"], needs.clock)
    if section.teams is not None:
        return Teams(needs.secrets[name, "url"])
    if section.mail is not None:
        return _mail(name, section.mail, people, needs)
    assert section.slack is not None
    return _slack(name, section.slack, people, needs)


def _mail(name: str, section: MailSection, people: People, needs: ChannelNeeds) -> Channel:
    ca = None if section.ca is None else str(needs.folder / section.ca)
    return Mail(section, people, needs.secrets.get((name, "password")), ssl.create_default_context(cafile=ca))


def _slack(name: str, section: SlackSection, people: People, needs: ChannelNeeds) -> Channel:
    from pgjit.notify.slack import Slack  # needs the extra `slack`
    from pgjit.notify.slack_clicks import SlackClicks
    from pgjit.notify.slack_socket import SlackSocket
    from pgjit.notify.slack_web import SlackWeb

    web = SlackWeb(section.api_url, needs.secrets[name, "bot_token"])
    app_token = needs.secrets.get((name, "app_token"))
    socket = None
    if app_token is not None and needs.requests is not None:
        clicks = SlackClicks(section, web, needs.requests, people, needs.clock, needs.directory, needs.ties)
        socket = SlackSocket(web, app_token, clicks.handle)
    return Slack(section, web, needs.requests, people, socket)
