"""From the configuration to channels: every kind can be made."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from pgjit.clock import Clock
from pgjit.grants.requests import Requests
from pgjit.grants.store import Store
from pgjit.notify.channels import ChannelNeeds, subscriptions_of
from pgjit.notify.mail import Mail
from pgjit.notify.section import NotifySection
from pgjit.notify.slack import Slack
from pgjit.notify.teams import Teams
from pgjit.notify.webhook import Webhook
from pgjit.server.credential import FixedSecret

SECRET = {"env": "X"}


async def test_every_kind_of_channel_is_made_and_sends_what_it_subscribed_to(tmp_path: Path) -> None:
    section = NotifySection.model_validate(
        {
            "channels": {
                "a": {"webhook": {"url": "https://h.test", "secret": SECRET}, "events": ["lock.set"]},
                "b": {"slack": {"channel": "C0123456789", "bot_token": SECRET, "app_token": SECRET}},
                "c": {"teams": {"url": SECRET}},
                "d": {"mail": {"host": "m", "sender": "a@b.c", "to": "x@y.z", "username": "u", "password": SECRET}},
            }
        }
    )
    keys = [("a", "secret"), ("b", "bot_token"), ("b", "app_token"), ("c", "url"), ("d", "password")]
    clock = Clock()
    needs = ChannelNeeds(
        secrets=dict.fromkeys(keys, FixedSecret("x")),
        folder=tmp_path,
        clock=clock,
        requests=Requests(cast(Store, None), clock, lambda _: None),
    )
    made = subscriptions_of(section, needs)
    assert [type(each.channel) for each in made.values()] == [Webhook, Slack, Teams, Mail]
    assert made["a"].events == {"lock.set"}
    assert "request.made" in made["b"].events
