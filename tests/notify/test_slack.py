"""Messages in Slack: buttons, rewriting by verdicts from elsewhere, and Slack's errors."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from pgjit.grants.request import RequestState
from tests.contracts.store import NOW
from tests.grants.review_cast import CAROL, request, reviewer
from tests.notify.slack_scene import ROOM, SlackScene, slack_scene

pytestmark = pytest.mark.live


async def _failures(scene: SlackScene) -> list[tuple[int, str]]:
    entries = [each for each in await scene.store.journal_outbox() if each.kind == "notification.failed"]
    notes = [orjson.loads(each.note) for each in entries]
    return [(note["attempts"], note["error"]) for note in notes]


async def test_a_request_is_posted_with_buttons_and_mentions_those_who_want_it(tmp_path: Path) -> None:
    async with slack_scene(tmp_path) as scene:
        await scene.file(request(reason="<!channel> *now* <https://evil.test|ok>"))
        message = await scene.posted()
        kinds = [each["type"] for each in message["blocks"]]
        assert (message["channel"], kinds) == (ROOM, ["header", "section", "section", "actions"])
        assert message["blocks"][1]["text"]["type"] == "plain_text"
        assert "<!channel> *now*" in message["blocks"][1]["text"]["text"]
        assert message["blocks"][2]["text"]["text"] == "<@U0CAROL>"  # Dave is quiet, Alice asked
        assert message["text"] == "Access requested under policy schema-checks"


async def test_a_verdict_given_elsewhere_rewrites_the_message(tmp_path: Path) -> None:
    async with slack_scene(tmp_path) as scene:
        made = await scene.file(request())
        await scene.posted()
        await scene.requests.approve(made.id, reviewer(CAROL))
        await scene.send()
        (_, reply) = scene.slack.of("chat.postMessage")
        assert reply["text"] == "<@U0ALICE> Request approved under policy schema-checks"
        assert reply["thread_ts"] == "171.5"
        for update in scene.slack.of("chat.update"):  # one of the verdict, one of the state
            assert (update["channel"], update["ts"]) == (ROOM, "171.5")
            assert not [each for each in update["blocks"] if each["type"] == "actions"]
        assert update["text"] == "Request approved under policy schema-checks"
        scene.now += timedelta(minutes=16)
        await scene.requests.lapse_due(scene.now)
        await scene.send()
        assert scene.slack.of("chat.update")[-1]["text"] == "Request lapsed under policy schema-checks"


async def test_a_message_that_comes_late_has_no_buttons(tmp_path: Path) -> None:
    async with slack_scene(tmp_path) as scene:
        made = await scene.file(request())
        await scene.requests.withdraw(made.id, made.ask.identity, made.ask.holder)
        message = await scene.posted()
        assert not [each for each in message["blocks"] if each["type"] == "actions"]


async def test_a_message_that_is_gone_is_posted_anew(tmp_path: Path) -> None:
    async with slack_scene(tmp_path) as scene:
        made = await scene.file(request())
        await scene.posted()
        scene.slack.fails["chat.update"] = "message_not_found"
        await scene.requests.refuse(made.id, reviewer(CAROL), reason="no")
        await scene.send()
        assert scene.slack.of("chat.postMessage")[-1]["text"] == "Request refused under policy schema-checks"


async def test_a_revoked_token_is_on_record_at_once_and_a_new_one_loses_nothing(tmp_path: Path) -> None:
    async with slack_scene(tmp_path) as scene:
        await scene.file(request())
        scene.slack.fails["chat.postMessage"] = "token_revoked"
        for seconds in (0, 5, 10):
            scene.now += timedelta(seconds=seconds)
            await scene.send()
        assert len(scene.slack.of("chat.postMessage")) == 3
        assert await _failures(scene) == [(1, "token_revoked")]
        scene.slack.fails.clear()
        scene.now += timedelta(minutes=1)
        message = await scene.posted()
        assert "Sent again" in str(message["blocks"])
        assert await scene.store.waiting_notifications() == {}


async def test_slack_says_how_long_to_wait(tmp_path: Path) -> None:
    async with slack_scene(tmp_path) as scene:
        await scene.file(request())
        scene.slack.fails["chat.postMessage"], scene.slack.headers = "ratelimited", {"Retry-After": "30"}
        await scene.send()
        scene.slack.fails.clear()
        scene.now = NOW + timedelta(seconds=29)
        await scene.send()
        assert len(scene.slack.of("chat.postMessage")) == 1
        scene.now = NOW + timedelta(seconds=30)
        await scene.send()
        assert len(scene.slack.of("chat.postMessage")) == 2


async def test_what_slack_never_takes_is_given_up(tmp_path: Path) -> None:
    async with slack_scene(tmp_path) as scene:
        made = await scene.file(request())
        scene.slack.fails["chat.postMessage"] = "invalid_blocks"
        await scene.send()
        assert await _failures(scene) == [(1, "invalid_blocks")]
        assert (await scene.requests.get(made.id)).state is RequestState.PENDING
