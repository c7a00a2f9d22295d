"""Where checkpoints go besides the journal's folder: another folder, a webhook, the standard output.

Decides what each of them gets, and that a receiver which fails gets the newest checkpoint later, not all that it
missed: the newest covers what those before it cover. A copy that pgjit cannot change is what makes a checkpoint worth
something, so a failure is logged.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Protocol

import httpx

from pgjit.audit.durable_file import append_line
from pgjit.audit.proof.checkpoint import SignedCheckpoint
from pgjit.audit.proof.checkpoint_log import checkpoint_line
from pgjit.audit.proof.note import NoteSignature
from pgjit.audit.proof.witness import NotWitnessed, Witness

__all__ = ["CheckpointSender", "FolderSender", "Outbox", "StdoutSender", "WebhookSender"]

_log = logging.getLogger("pgjit.journal.proof")
_WITNESS_SECONDS = 5.0


class CheckpointSender(Protocol):
    @property
    def name(self) -> str:
        """For messages: not a secret."""

    async def send(self, signed: SignedCheckpoint) -> None:
        """Raises OSError and httpx's errors."""


class FolderSender:
    """A file for each journal, to which a line is added for each checkpoint: `pgjit audit verify` reads it."""

    def __init__(self, folder: Path, clock: Callable[[], datetime]) -> None:
        self.name = f"folder {folder}"
        self._folder = folder
        self._clock = clock

    async def send(self, signed: SignedCheckpoint) -> None:
        name = re.sub(r"[^A-Za-z0-9._-]", "_", signed.checkpoint.origin)
        line = checkpoint_line(signed, self._clock())
        await asyncio.to_thread(append_line, self._folder / f"{name}.checkpoints.jsonl", line)


class StdoutSender:
    name = "standard output"

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock

    async def send(self, signed: SignedCheckpoint) -> None:
        line = checkpoint_line(signed, self._clock()).decode()
        await asyncio.to_thread(print, line, flush=True, file=sys.stdout)  # who reads it may be slow


class WebhookSender:
    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self.name = f"webhook {httpx.URL(url).host}"
        self._url = url
        self._client = client

    async def send(self, signed: SignedCheckpoint) -> None:
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        async with self._client.stream("POST", self._url, content=signed.note.content(), headers=headers) as answer:
            if not answer.is_success:
                raise OSError(f"it answered {answer.status_code}")


class Outbox:
    """A `CheckpointReceiver`: asks the witnesses, then gives each sender the newest checkpoint, by `run`."""

    def __init__(
        self,
        senders: Mapping[str, CheckpointSender],
        witnesses: Mapping[str, Witness] | None = None,
        *,
        pause: float = 5.0,
    ) -> None:
        """Each by its name in the configuration. `pause`: seconds after a failure of a sender."""
        self._slots = {name: _Slot(sender, pause) for name, sender in senders.items()}
        self._witnesses = witnesses or {}
        self._silent: set[str] = set()  # witnesses that failed the last time
        self.witness_failures = dict.fromkeys(self._witnesses, 0)

    @property
    def send_failures(self) -> dict[str, int]:
        """How often each sender failed."""
        return {name: slot.failures for name, slot in self._slots.items()}

    async def cosigned(self, signed: SignedCheckpoint) -> SignedCheckpoint:
        answers = await asyncio.gather(*(self._cosignature(name, signed) for name in self._witnesses))
        given = [each for each in answers if each is not None]
        return signed.with_cosignatures(given) if given else signed

    def publish(self, signed: SignedCheckpoint) -> None:
        for slot in self._slots.values():
            slot.put(signed)

    async def run(self) -> None:
        """Until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            for slot in self._slots.values():
                group.create_task(slot.run())

    async def drain(self, seconds: float) -> None:
        """Wait until each sender has the newest, at most this long."""
        try:
            async with asyncio.timeout(seconds):
                for slot in self._slots.values():
                    await slot.empty.wait()
        except TimeoutError:
            _log.warning("the last checkpoint was not sent everywhere")

    async def _cosignature(self, name: str, signed: SignedCheckpoint) -> NoteSignature | None:
        witness = self._witnesses[name]
        try:
            async with asyncio.timeout(_WITNESS_SECONDS):
                signature = await witness.cosign(signed)
        except (NotWitnessed, TimeoutError) as error:
            self.witness_failures[name] += 1
            if witness.name not in self._silent:
                self._silent.add(witness.name)
                _log.warning("witness %s does not sign: %s", witness.name, error or "it did not answer in time")
            return None
        if witness.name in self._silent:
            self._silent.discard(witness.name)
            _log.warning("witness %s signs again", witness.name)
        return signature


class _Slot:
    """The newest checkpoint that a sender does not have yet."""

    def __init__(self, sender: CheckpointSender, pause: float) -> None:
        self._sender = sender
        self._pause = pause
        self.failures = 0
        self._newest: SignedCheckpoint | None = None
        self._filled = asyncio.Event()
        self.empty = asyncio.Event()
        self.empty.set()

    def put(self, signed: SignedCheckpoint) -> None:
        self._newest = signed
        self._filled.set()
        self.empty.clear()

    async def run(self) -> None:
        failing = False
        while True:
            await self._filled.wait()
            signed = self._newest
            assert signed is not None
            try:
                await self._sender.send(signed)
            except (OSError, httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as error:
                if not failing:
                    _log.error("checkpoints are not sent to %s: %s", self._sender.name, error or type(error).__name__)
                failing = True
                self.failures += 1
                await asyncio.sleep(self._pause)
                continue
            if failing:
                _log.warning("checkpoints are sent to %s again", self._sender.name)
            failing = False
            if self._newest is signed:
                self._filled.clear()
                self.empty.set()
