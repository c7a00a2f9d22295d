"""Webhooks against a receiver that computes the signature on its own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from pgjit.notify.announcement import Announcement
from pgjit.notify.channel import NeverSent, NotSent
from pgjit.notify.webhook import Webhook
from pgjit.server.credential import FixedSecret, FromFile
from tests.contracts.store import NOW
from tests.notify.announcements import a_request_made

KEYS = [b"k" * 24, b"l" * 32]
SECRET = " ".join("whsec_" + base64.b64encode(key).decode() for key in KEYS)


class Receiver:
    """Answers as it is told to; verifies what it gets, without the code under test."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.got: list[tuple[str, str, bytes]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        name, timestamp = request.headers["webhook-id"], request.headers["webhook-timestamp"]
        signed = name.encode() + b"." + timestamp.encode() + b"." + request.content
        expected = {"v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in KEYS}
        assert set(request.headers["webhook-signature"].split(" ")) == expected
        assert timestamp == str(int(NOW.timestamp()))
        self.got.append((name, request.headers["pgjit-attempt"], request.content))
        answer = self.answers.pop(0) if self.answers else httpx.Response(204)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def _send(receiver: Callable[[httpx.Request], httpx.Response], announcement: Announcement) -> None:
    webhook = Webhook("https://hooks.test/x", FixedSecret(SECRET), lambda: NOW, httpx.MockTransport(receiver))
    async with webhook.running():
        await webhook.send(announcement)


async def test_a_repeat_has_the_same_id_and_body_and_says_its_attempt() -> None:
    receiver = Receiver()
    for attempt in (1, 2):
        await _send(receiver, a_request_made(attempt=attempt, reason="<b>why</b>"))
    (first, *rest), (second, *again) = receiver.got
    assert first == second == "n_1"
    assert (rest[0], again[0]) == ("1", "2")
    assert rest[1] == again[1]
    body = json.loads(receiver.got[0][2])
    assert (body["type"], body["data"]["reason"]) == ("request.made", "<b>why</b>")


@pytest.mark.parametrize(
    ("answer", "why", "after", "report"),
    [
        (httpx.Response(503, headers={"Retry-After": "120"}), "answered 503", 120.0, False),
        (httpx.Response(429, headers={"Retry-After": "soon"}), "answered 429", None, False),
        (httpx.Response(500, headers={"Retry-After": "Tue, 01 Jan 2019 00:00:00 GMT"}), "answered 500", 0.0, False),
        (httpx.Response(401), "answered 401", None, True),
        (
            httpx.Response(307, headers={"Location": "https://elsewhere.test/"}),
            "answered 307, a redirect, which is not followed",
            None,
            True,
        ),
        (httpx.ReadTimeout("slow, at https://hooks.test/x"), "no answer: ReadTimeout", None, False),
        (httpx.ConnectError("refused"), "no answer: ConnectError", None, False),
    ],
)
async def test_what_may_succeed_later_is_tried_again(
    answer: httpx.Response | Exception, why: str, after: float | None, report: bool
) -> None:
    receiver = Receiver(answer)
    with pytest.raises(NotSent) as failed:
        await _send(receiver, a_request_made())
    assert (str(failed.value), failed.value.after, failed.value.report) == (why, after, report)
    assert len(receiver.got) == 1


@pytest.mark.parametrize("status", [400, 410, 413, 422])
async def test_what_never_succeeds_is_final(status: int) -> None:
    with pytest.raises(NeverSent, match=f"answered {status}"):
        await _send(Receiver(httpx.Response(status)), a_request_made())


async def test_the_body_of_an_answer_is_not_read() -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b"x" * 8192

    await _send(lambda _: httpx.Response(200, content=endless()), a_request_made())
    assert sent < 20


async def test_a_secret_that_is_gone_is_reported_and_nothing_is_sent(tmp_path: Path) -> None:
    receiver = Receiver()
    for secret in (FromFile(tmp_path / "gone"), FixedSecret("not a key")):
        webhook = Webhook("https://hooks.test/x", secret, lambda: NOW, httpx.MockTransport(receiver))
        with pytest.raises(NotSent) as failed:
            await webhook.send(a_request_made())
        assert failed.value.report
    assert receiver.got == []
