"""Socket Mode over a real websocket: acknowledgements, disconnects, and a token that is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgjit.grants.request import RequestState
from pgjit.notify.slack_blocks import APPROVE
from pgjit.notify.slack_socket import SlackSocket
from pgjit.server.credential import FixedSecret
from tests.contracts.store import HOUR
from tests.grants.review_cast import request
from tests.notify.slack_scene import slack_scene
from tests.notify.slack_stand_in import APP

pytestmark = pytest.mark.live


async def test_a_click_is_acknowledged_and_decides(tmp_path: Path) -> None:
    async with slack_scene(tmp_path) as scene:
        made = await scene.file(request())
        message = await scene.posted()
        async with scene.socket.running():
            await scene.slack.until_connected()
            envelope = await scene.slack.click(scene.click("U0CAROL", APPROVE, message))
            await scene.slack.until_acknowledged(envelope)
            decided = await scene.requests.wait(made.id, scene.now + HOUR)
            assert decided.state is RequestState.APPROVED
            again = await scene.slack.click(scene.click("U0CAROL", APPROVE, message))  # delivered twice
            await scene.slack.until_acknowledged(again)
        assert len((await scene.requests.get(made.id)).verdicts) == 1


async def test_after_a_disconnect_there_is_a_new_socket(tmp_path: Path) -> None:
    async with slack_scene(tmp_path) as scene, scene.socket.running():
        await scene.slack.until_connected()
        await scene.slack.disconnect()
        await scene.slack.until_connected(2)


async def test_a_refused_token_is_tried_more_and_more_slowly(tmp_path: Path) -> None:
    async with slack_scene(tmp_path) as scene:
        scene.slack.fails["apps.connections.open"] = "token_revoked"
        async with scene.socket.running():
            await scene.slack.until("apps.connections.open", 8)
            assert scene.slept[:7] == [5, 10, 20, 40, 80, 160, 300]
            scene.slack.fails.clear()
            await scene.slack.until_connected()


async def test_an_address_that_does_not_answer_is_not_tried_for_ever(tmp_path: Path) -> None:
    async with slack_scene(tmp_path) as scene:
        scene.slack.refused_sockets = 2
        socket = SlackSocket(
            scene.web, FixedSecret(APP), scene.clicks.handle, ping_seconds=0.05, address_seconds=0.01
        )
        async with socket.running():
            await scene.slack.until_connected()
        assert len(scene.slack.of("apps.connections.open")) >= 3
