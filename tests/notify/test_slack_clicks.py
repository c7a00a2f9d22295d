"""What clicks do: only the mapped person decides, by the rules of every other way; all others are refused."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from pgjit.grants.request import RequestState
from pgjit.identity.directory import DirectoryAnswer, DirectoryUnavailable, Principal, PrincipalState
from pgjit.identity.identity import GroupId
from pgjit.notify.slack_blocks import APPROVE, REFUSE
from tests.grants.review_cast import CAROL, DAVE, request, reviewer
from tests.notify.slack_scene import SlackScene, slack_scene

pytestmark = pytest.mark.live


class Directory:
    """Everybody is in every group that is queried, but Carol: `why`."""

    def __init__(self, why: str) -> None:
        self._why = why

    async def look_up(self, principal: Principal, groups: Iterable[GroupId], now: datetime) -> DirectoryAnswer:
        if self._why == "down":
            raise DirectoryUnavailable("no answer")
        assert principal.is_user
        carol = principal.key == CAROL
        state = PrincipalState.DISABLED if carol and self._why == "disabled" else PrincipalState.ENABLED
        held = frozenset[GroupId]() if carol and self._why == "left" else frozenset(groups)
        return DirectoryAnswer(at=now, state=state, groups=held)

    async def close(self) -> None:
        """Nothing is open."""


async def _state(scene: SlackScene) -> RequestState:
    return (await scene.requests.get("r_1")).state


async def test_a_mapped_person_approves_once(tmp_path: Path) -> None:
    async with slack_scene(tmp_path) as scene:
        await scene.file(request())
        message = await scene.posted()
        for _ in range(2):  # a double click is one verdict
            await scene.clicks.handle(scene.click("U0CAROL", APPROVE, message))
        approved = await scene.requests.get("r_1")
        (by,) = approved.approvers
        assert (approved.state, by.key, by.display, by.via) == (RequestState.APPROVED, CAROL, "carol", "slack")
        assert scene.replies == []
        await scene.send()
        assert "approved by: carol" in str(scene.slack.of("chat.update")[-1]["blocks"])


async def test_a_verdict_that_does_not_decide_is_confirmed_and_the_buttons_stay(tmp_path: Path) -> None:
    async with slack_scene(tmp_path, approvals=2) as scene:
        await scene.file(request(approvals=2))
        message = await scene.posted()
        await scene.clicks.handle(scene.click("U0CAROL", APPROVE, message))
        assert scene.replies == [("U0CAROL", "Your approval is recorded. Request r_1 needs 1 more.")]
        await scene.send()
        again = {**scene.slack.of("chat.update")[-1]}
        await scene.clicks.handle(scene.click("U0DAVE", APPROVE, again))
        assert await _state(scene) is RequestState.APPROVED


async def test_refusing_opens_a_dialog_and_needs_a_reason(tmp_path: Path) -> None:
    async with slack_scene(tmp_path) as scene:
        await scene.file(request())
        message = await scene.posted()
        await scene.clicks.handle(scene.click("U0CAROL", REFUSE, message))
        assert scene.slack.of("views.open")[0]["trigger_id"] == "1.2.3"
        assert await _state(scene) is RequestState.PENDING
        await scene.clicks.handle(scene.submission("U0CAROL", None))
        assert "refusal has no reason" in scene.replies[0][1]
        await scene.clicks.handle(scene.submission("U0CAROL", "not today"))
        refused = await scene.requests.get("r_1")
        assert (refused.state, refused.verdicts[0].comment) == (RequestState.REFUSED, "not today")


OTHERS: list[tuple[str, dict[str, Any], str]] = [
    ("U0MALLORY", {}, "Slack user U0MALLORY is not mapped to an identity"),
    ("U0ALICE", {}, "nobody reviews a request of their own"),
    ("U0CAROL", {"team": {"id": "T0OTHER"}}, "another workspace"),
    ("U0CAROL", {"team": None}, "another workspace"),
    ("U0CAROL", {"container": {"channel_id": "C0OTHER"}}, "another channel"),
]


async def test_nobody_else_decides(tmp_path: Path) -> None:
    async with slack_scene(tmp_path) as scene:
        await scene.file(request())
        message = await scene.posted()
        for action in (APPROVE, REFUSE):
            for user, changes, reply in OTHERS:
                before = len(scene.replies)
                await scene.clicks.handle(scene.click(user, action, message, **changes))
                if (user, action) == ("U0ALICE", REFUSE):
                    await scene.clicks.handle(scene.submission(user, "no"))
                ((to, text),) = scene.replies[before:]
                assert (to, reply in text) == (user, True)
                assert (await scene.requests.get("r_1")).verdicts == ()


async def test_a_click_is_for_what_the_message_shows(tmp_path: Path) -> None:
    async with slack_scene(tmp_path) as scene:
        await scene.file(request())
        message = await scene.posted()
        for action in (APPROVE, REFUSE):
            click = scene.click("U0CAROL", action, message)
            click["actions"][0]["value"] = '{"request": "r_1", "digest": "of something else"}'
            await scene.clicks.handle(click)
        await scene.clicks.handle(scene.submission("U0CAROL", "no"))
        assert len(scene.replies) == 2
        assert await _state(scene) is RequestState.PENDING


async def test_a_click_that_comes_too_late_says_so(tmp_path: Path) -> None:
    async with slack_scene(tmp_path) as scene:
        made = await scene.file(request())
        message = await scene.posted()
        await scene.requests.refuse(made.id, reviewer(DAVE), reason="no")
        await scene.clicks.handle(scene.click("U0CAROL", APPROVE, message))
        assert "refused" in scene.replies[0][1]
        assert await _state(scene) is RequestState.REFUSED


@pytest.mark.parametrize("why", ["left", "disabled", "down"])
async def test_where_there_is_a_directory_it_decides(tmp_path: Path, why: str) -> None:
    async with slack_scene(tmp_path, directory=Directory(why)) as scene:
        await scene.file(request())
        message = await scene.posted()
        await scene.clicks.handle(scene.click("U0CAROL", APPROVE, message))
        assert len(scene.replies) == 1
        assert await _state(scene) is RequestState.PENDING
        await scene.clicks.handle(scene.click("U0DAVE", APPROVE, message))
        assert (await _state(scene) is RequestState.APPROVED) is (why != "down")


NO_CLICKS: list[dict[str, Any]] = [
    {},
    {"type": "block_actions", "actions": []},
    {"type": "block_actions", "actions": [{"action_id": APPROVE, "value": "x"}], "user": {"id": 1}},
    {"type": "view_submission", "view": {"callback_id": REFUSE, "private_metadata": "[]"}, "user": {"id": "U"}},
    {"type": "block_actions", "actions": [{"action_id": "other", "value": ""}]},
    {"type": "block_actions", "actions": None, "user": "U0CAROL"},
    {"type": "shortcut"},
]


async def test_what_is_no_click_does_nothing(tmp_path: Path) -> None:
    async with slack_scene(tmp_path) as scene:
        await scene.file(request())
        await scene.posted()
        for payload in NO_CLICKS:
            await scene.clicks.handle(payload)
        assert scene.replies == []
        assert await _state(scene) is RequestState.PENDING
