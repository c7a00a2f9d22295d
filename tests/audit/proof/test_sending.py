from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from pgjit.audit.proof.checkpoint import SignedCheckpoint
from pgjit.audit.proof.checkpoint_log import read_checkpoints
from pgjit.audit.proof.sending import CheckpointSender, FolderSender, Outbox, StdoutSender, WebhookSender
from pgjit.audit.proof.witness import Witness
from tests.audit.proof.journals import AT, KEY, record, sign
from tests.audit.proof.witnessing import URL, WITNESS, WitnessServer

LINES = list(map(record, range(1, 28)))


class Recording:
    """Fails while it is set to fail, and waits while it is held up."""

    name = "recording"

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.failures = 0
        self.free = asyncio.Event()
        self.free.set()
        self.called = asyncio.Event()

    async def send(self, signed: SignedCheckpoint) -> None:
        self.called.set()
        await self.free.wait()
        if self.failures:
            self.failures -= 1
            raise OSError("it answered 503")
        self.sizes.append(signed.checkpoint.size)


@asynccontextmanager
async def running(*senders: CheckpointSender) -> AsyncIterator[Outbox]:
    outbox = Outbox({str(place): each for place, each in enumerate(senders)}, pause=0)
    task = asyncio.create_task(outbox.run())
    try:
        yield outbox
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_a_sender_that_is_slow_gets_the_newest_only() -> None:
    sender = Recording()
    sender.free.clear()
    async with running(sender) as outbox:
        outbox.publish(sign(LINES[:1]))
        await sender.called.wait()
        for size in (2, 3, 4):
            outbox.publish(sign(LINES[:size]))
        sender.free.set()
        await outbox.drain(60)
    assert sender.sizes == [1, 4]


async def test_a_sender_that_fails_is_tried_again_and_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    failing, other = Recording(), Recording()
    failing.failures = 3
    async with running(failing, other) as outbox:
        outbox.publish(sign(LINES[:1]))
        await outbox.drain(60)
        assert outbox.send_failures == {"0": 3, "1": 0}
    assert (failing.sizes, other.sizes) == ([1], [1])
    assert caplog.text.count("checkpoints are not sent to recording: it answered 503") == 1
    assert "checkpoints are sent to recording again" in caplog.text


async def test_draining_ends_when_a_sender_does_not_answer(caplog: pytest.LogCaptureFixture) -> None:
    sender = Recording()
    sender.free.clear()
    async with running(sender) as outbox:
        outbox.publish(sign(LINES[:1]))
        await outbox.drain(0)
    assert "the last checkpoint was not sent everywhere" in caplog.text


async def test_a_folder_gets_a_line_for_each_checkpoint(tmp_path: Path) -> None:
    sender = FolderSender(tmp_path, lambda: AT)
    for size in (3, 4):
        await sender.send(sign(LINES[:size]))
    (path,) = tmp_path.iterdir()
    assert path.name == "pgjit.example_journal_w0.checkpoints.jsonl"
    assert [signed for _, signed in read_checkpoints(path)] == [sign(LINES[:3]), sign(LINES[:4])]
    with pytest.raises(FileNotFoundError):
        await FolderSender(tmp_path / "unmounted", lambda: AT).send(sign(LINES))


async def test_standard_output_gets_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    await StdoutSender(lambda: AT).send(sign(LINES[:3]))
    (line,) = capsys.readouterr().out.splitlines()
    document = json.loads(line)
    assert (document["time"], document["size"]) == ("2026-11-29T00:00:00.000000Z", 3)
    assert document["checkpoint"].encode() == sign(LINES[:3]).note.content()


async def test_a_webhook_gets_the_signed_note() -> None:
    bodies = []

    def answering(request: httpx.Request) -> httpx.Response:
        bodies.append(request.content)
        return httpx.Response(204 if len(bodies) == 1 else 503)

    sender = WebhookSender(
        "https://receiver.example/a-secret", httpx.AsyncClient(transport=httpx.MockTransport(answering))
    )
    await sender.send(sign(LINES))
    assert bodies == [sign(LINES).note.content()]
    with pytest.raises(OSError, match="it answered 503"):
        await sender.send(sign(LINES))
    assert sender.name == "webhook receiver.example"  # the path may be a secret


async def test_witnesses_that_answer_add_their_signatures(caplog: pytest.LogCaptureFixture) -> None:
    good, strange = WitnessServer(KEY), WitnessServer(KEY._replace(name="another"))
    witnesses = [Witness(URL, WITNESS, server.client, lambda _old, _size: []) for server in (good, strange)]
    witnesses[1].name = "strange"
    outbox = Outbox({}, dict(zip(("good", "strange"), witnesses, strict=True)))
    cosigned = await outbox.cosigned(sign(LINES))
    assert [signature.name for signature in cosigned.note.signatures] == [KEY.name, WITNESS.name]
    await outbox.cosigned(sign(LINES))
    assert outbox.witness_failures == {"good": 0, "strange": 2}
    assert caplog.text.count("witness strange does not sign: it does not know the journal's origin") == 1
    assert await Outbox({}, {"strange": witnesses[1]}).cosigned(sign(LINES)) == sign(LINES)
