"""A store with a request, a Slack stand-in, and the channel, the clicks and the notifier between them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from pgjit.clock import Clock
from pgjit.grants.request import Request
from pgjit.grants.requests import Requests
from pgjit.grants.stores.sql import SqlStore
from pgjit.grants.stores.sqlite_database import SqliteDatabase
from pgjit.identity.directory import Directory
from pgjit.notify.events import EVENTS
from pgjit.notify.notifier import Notifier, Subscription
from pgjit.notify.people import People
from pgjit.notify.section import ChannelSecretSection, PersonSection, SlackSection
from pgjit.notify.slack import Slack
from pgjit.notify.slack_clicks import SlackClicks
from pgjit.notify.slack_socket import SlackSocket
from pgjit.notify.slack_web import SlackWeb
from pgjit.server.credential import FixedSecret
from tests.contracts.store import ALICE, NOW
from tests.grants.review_cast import CAROL, DAVE, DBAS, reviewed_policy
from tests.notify.slack_stand_in import APP, BOT, SlackStandIn, slack_stand_in

__all__ = ["ROOM", "TEAM", "SlackScene", "slack_scene"]

ROOM, TEAM = "C0123456789", "T0123456789"
USERS = {"U0CAROL": CAROL, "U0DAVE": DAVE, "U0ALICE": ALICE}


def people() -> People:
    return People(
        {
            user[2:].lower(): PersonSection(
                identity="/".join(key), slack=user, groups=(DBAS,), quiet=user == "U0DAVE"
            )
            for user, key in USERS.items()
        }
    )


class SlackScene:
    def __init__(self, store: SqlStore, slack: SlackStandIn, approvals: int, directory: Directory | None) -> None:
        self.store, self.slack = store, slack
        self.now = NOW
        policy = reviewed_policy(approvals)
        clock = Clock(wall=self.clock, steady=self.steady)
        self.requests = Requests(store, clock, {policy.name: policy}.get)
        self.section = SlackSection(
            channel=ROOM,
            bot_token=ChannelSecretSection(env="X"),
            app_token=ChannelSecretSection(env="Y"),
            team=TEAM,
            api_url=slack.url,
            mention=True,
        )
        self.web = SlackWeb(slack.url, FixedSecret(BOT))
        self.clicks = SlackClicks(self.section, self.web, self.requests, people(), clock, directory)
        self.slept: list[float] = []
        self.socket = SlackSocket(self.web, FixedSecret(APP), self.clicks.handle, sleep=self.sleep)
        self.channel = Slack(self.section, self.web, self.requests, people(), self.socket)
        subscriptions = {"chat": Subscription(self.channel, frozenset(EVENTS))}
        self.notifier = Notifier(store, self.clock, subscriptions, {policy.name: policy}.get, chance=lambda: 1.0)

    def clock(self) -> datetime:
        return self.now

    def steady(self) -> float:
        return (self.now - NOW).total_seconds()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)

    async def file(self, made: Request) -> Request:
        return await self.store.file_request(made, NOW, at_most=9)

    async def send(self) -> None:
        await self.notifier.spread()
        while await self.notifier.send_due("chat"):
            pass

    async def posted(self) -> dict[str, Any]:
        await self.send()
        return self.slack.of("chat.postMessage")[-1]

    def click(self, user: str, action: str, message: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """What Slack sends for a click on a button of `message`, which Slack got before."""
        (buttons,) = [each for each in message["blocks"] if each["type"] == "actions"]
        (button,) = [each for each in buttons["elements"] if each["action_id"] == action]
        payload = {
            "type": "block_actions",
            "user": {"id": user, "username": "carol", "name": "carol"},
            "team": {"id": TEAM},
            "container": {"type": "message", "channel_id": message["channel"], "message_ts": "171.5"},
            "trigger_id": "1.2.3",
            "actions": [{"action_id": action, "value": button["value"], "type": "button"}],
        }
        return {**payload, **changes}

    def submission(self, user: str, reason: str | None) -> dict[str, Any]:
        """What Slack sends when the newest dialog is submitted."""
        view = self.slack.of("views.open")[-1]["view"]
        values = {"pgjit_reason": {"pgjit_reason": {"type": "plain_text_input", "value": reason}}}
        return {
            "type": "view_submission",
            "user": {"id": user},
            "team": {"id": TEAM},
            "view": json.loads(json.dumps({**view, "state": {"values": values}})),
        }

    @property
    def replies(self) -> list[tuple[str, str]]:
        """The messages that single users received."""
        return [(each["user"], each["text"]) for each in self.slack.of("chat.postEphemeral")]


@asynccontextmanager
async def slack_scene(
    path: Path, *, approvals: int = 1, directory: Directory | None = None
) -> AsyncIterator[SlackScene]:
    store = SqlStore(SqliteDatabase(path / "store.sqlite3", shared=True), node="n1")
    await store.open()
    try:
        async with slack_stand_in() as slack:
            yield SlackScene(store, slack, approvals, directory)
    finally:
        await store.close()
