"""Cards for Teams: escaped texts, the link, and a URL that is a secret."""

from __future__ import annotations

import json

import httpx
import pytest

from pgjit.notify.channel import NotSent
from pgjit.notify.teams import Teams, card
from pgjit.server.credential import FixedSecret
from tests.notify.announcements import a_request_made

URL = "https://flow.test/hook?sig=s3cret"
EVIL = "[click](https://evil.test) **now** <at>all</at>\n# big"


async def test_a_card_is_posted_to_the_workflow() -> None:
    got: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        got.append(request)
        return httpx.Response(202)

    await Teams(FixedSecret(URL), httpx.MockTransport(answer)).send(a_request_made(attempt=2))
    assert str(got[0].url) == URL
    content = json.loads(got[0].content)["attachments"][0]["content"]
    assert content["body"][0]["text"] == r"Access requested under policy schema\-checks \(repeated\)"
    assert content["actions"] == [
        {"type": "Action.OpenUrl", "title": "Open", "url": "https://pgjit.test/request/r_1"}
    ]


def test_no_text_of_a_request_is_formatted() -> None:
    facts = card(a_request_made(reason=EVIL))["attachments"][0]["content"]["body"][1]["facts"]
    (reason,) = [each["value"] for each in facts if each["title"] == "reason"]
    assert reason == (r"\[click\]\(https\://evil\.test\) \*\*now\*\* \<at\>all\</at\> \# big")


def test_a_card_stays_below_what_teams_accepts() -> None:
    whole = json.dumps(card(a_request_made(reason="*" * 4096)))
    assert len(whole) < 28 * 1024
    assert "3096 more characters" in whole


@pytest.mark.parametrize("url", ["http://flow.test/", "flow", ""])
async def test_an_unfit_url_is_reported_and_not_shown(url: str) -> None:
    with pytest.raises(NotSent) as failed:
        await Teams(FixedSecret(url)).send(a_request_made())
    assert failed.value.report
    assert "flow" not in str(failed.value).replace("workflow", "")
