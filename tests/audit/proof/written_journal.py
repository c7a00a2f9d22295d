"""A journal that is written while it is signed: it has the files of a real one, and no records but numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pgjit.audit.proof.checkpoint import SignedCheckpoint
from pgjit.audit.proof.checkpointer import Checkpointer, CheckpointPace
from pgjit.audit.proof.signer import CheckpointSigner, FileSigner
from pgjit.audit.segments import list_segments, segment_name
from pgjit.errors import JournalUnavailable
from tests.audit.proof import vectors
from tests.audit.proof.journals import ORIGIN, record

__all__ = ["Received", "WrittenByHand", "opened"]

SIGNER = FileSigner(Ed25519PrivateKey.from_private_bytes(vectors.LOG_SEED))


class WrittenByHand:
    def __init__(self, folder: Path, origin: str = ORIGIN) -> None:
        self.folder = folder
        self.origin = origin
        self.failing = False
        self.flushes = 0
        self.lines = sum(1 for segment in list_segments(folder) for _ in segment.lines())
        self._first = list_segments(folder)[-1].first if list_segments(folder) else 0
        (folder / "origin").write_text(origin + "\n")

    def append(self, count: int, checkpointer: Checkpointer | None = None) -> Sequence[bytes]:
        lines = [record(seq) + b"\n" for seq in range(self.lines + 1, self.lines + count + 1)]
        with (self.folder / f"{segment_name(self._first)}.jsonl").open("ab") as file:
            file.writelines(lines)
        self.lines += count
        if checkpointer is not None:
            checkpointer.take(self.lines, lines)
        return lines

    def rotate(self) -> None:
        self._first = self.lines
        (self.folder / f"{segment_name(self._first)}.jsonl").touch()

    async def flush(self) -> None:
        self.flushes += 1
        if self.failing:
            raise JournalUnavailable


class Received:
    """A receiver that keeps what it gets."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.newest: SignedCheckpoint | None = None
        self._arrived = asyncio.Event()

    async def one(self) -> None:
        async with asyncio.timeout(60):
            await self._arrived.wait()

    def publish(self, signed: SignedCheckpoint) -> None:
        self.sizes.append(signed.checkpoint.size)
        self.newest = signed
        self._arrived.set()

    async def cosigned(self, signed: SignedCheckpoint) -> SignedCheckpoint:
        return signed


class SteppedClock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 29, 10, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


async def opened(
    journal: WrittenByHand,
    received: Received | None = None,
    *,
    signer: CheckpointSigner = SIGNER,
    clock: SteppedClock | None = None,
    pace: CheckpointPace | None = None,
) -> Checkpointer:
    return await Checkpointer.open(
        journal,
        journal.folder,
        signer,
        received or Received(),
        clock or SteppedClock(),
        pace=pace or CheckpointPace(),
    )
