"""Signs checkpoints of the journal while it is written, keeps them beside the segments, and sends them away.

Decides when a checkpoint is made: after some seconds or some records, at the end of each segment, at the stop; and
now and then without news, so that a receiver notices silence. INVARIANT: a checkpoint covers only lines that are on
the disk, and it is on the disk before it is sent.

Once an hour it removes checkpoints that no verification needs (`checkpoint_thinning.py`).

A key service that does not answer delays checkpoints, not statements. The lines after the newest checkpoint are not
protected until it answers; the log and `behind` report it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from pgjit.audit.proof.checkpoint import Checkpoint, SignedCheckpoint
from pgjit.audit.proof.checkpoint_log import write_checkpoint
from pgjit.audit.proof.checkpoint_thinning import thin_checkpoints
from pgjit.audit.proof.growing_tree import GrowingTree
from pgjit.audit.proof.note import NoteRejected, VerifierKey
from pgjit.audit.proof.resume import ResumedTree, resume
from pgjit.audit.proof.signer import CheckpointSigner, NotSigned
from pgjit.errors import JournalUnavailable

__all__ = ["CheckpointPace", "CheckpointReceiver", "Checkpointer", "WrittenJournal"]

_log = logging.getLogger("pgjit.journal.proof")
_BETWEEN_THINNINGS = timedelta(hours=1)


class WrittenJournal(Protocol):
    """What it needs of the journal."""

    @property
    def origin(self) -> str: ...

    async def flush(self) -> None:
        """Raises JournalUnavailable."""


class CheckpointReceiver(Protocol):
    def publish(self, signed: SignedCheckpoint) -> None:
        """Send it in the background. Does not block, and does not raise."""

    async def cosigned(self, signed: SignedCheckpoint) -> SignedCheckpoint:
        """With the signatures of the witnesses that gave theirs. Does not raise."""
        ...


@dataclass(frozen=True, slots=True)
class CheckpointPace:
    seconds: float = 10.0
    records: int = 10_000
    heartbeat_seconds: float = 3600.0


class Checkpointer:
    """Made with `open`, fed by `take`, driven by `run` until `stop`."""

    def __init__(
        self,
        journal: WrittenJournal,
        folder: Path,
        resumed: ResumedTree,
        signer: CheckpointSigner,
        receiver: CheckpointReceiver,
        clock: Callable[[], datetime],
        pace: CheckpointPace,
    ) -> None:
        self._journal = journal
        self._folder = folder
        self._signer = signer
        self._receiver = receiver
        self._clock = clock
        self._pace = pace
        self._tree = GrowingTree(folder, journal.origin, resumed)
        self._pending: list[bytes] = []
        self._ends: list[Checkpoint] = []  # of closed segments, not signed yet
        self._wake = asyncio.Event()
        self._stopping = False
        self.signed = resumed.checkpoint
        self._signed_at = clock()
        self._thinned_at: datetime | None = None
        self.behind = False
        """Whether the last attempt to make a checkpoint failed."""
        self.failures = 0

    @classmethod
    async def open(
        cls,
        journal: WrittenJournal,
        folder: Path,
        signer: CheckpointSigner,
        receiver: CheckpointReceiver,
        clock: Callable[[], datetime],
        *,
        previous: Sequence[VerifierKey] = (),
        pace: CheckpointPace = CheckpointPace(),  # it cannot be changed
    ) -> Checkpointer:
        """Compares the lines with the newest checkpoint first. Raises ServerUnavailable and OSError."""
        keys = [VerifierKey.of(journal.origin, signer.public), *previous]
        resumed = await asyncio.to_thread(resume, folder, journal.origin, keys)
        return cls(journal, folder, resumed, signer, receiver, clock, pace)

    def take(self, _: int, lines: Sequence[bytes]) -> None:
        """Called by the journal with lines that it has written."""
        if self._journal.origin != self._tree.origin:
            self._begin_anew()
        self._pending.extend(lines)
        if len(self._pending) >= self._pace.records:
            self._wake.set()

    async def run(self) -> None:
        """Until `stop`. The last checkpoint is made then; nothing is written after that."""
        stopping = False
        while not stopping:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pace.seconds):
                    await self._wake.wait()
            self._wake.clear()
            stopping = self._stopping
            await self.checkpoint()

    @property
    def age(self) -> float:
        """Seconds since the newest checkpoint; before the first of this process, since its start."""
        return max(0.0, (self._clock() - self._signed_at).total_seconds())

    @property
    def unsigned(self) -> int:
        """How many lines no checkpoint covers."""
        signed = 0 if self.signed is None else self.signed.checkpoint.size
        return max(0, self._tree.size + len(self._pending) - signed)

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()

    async def checkpoint(self) -> None:
        """Make a checkpoint if there is news, or if the last is old. Does not raise: a failure is logged."""
        lines, self._pending = self._pending, []
        heartbeat = self._clock() - self._signed_at >= timedelta(seconds=self._pace.heartbeat_seconds)
        if not lines and self._is_signed() and not heartbeat:
            return
        try:
            await self._add(lines)
            while self._ends:
                await self._sign(self._ends[0])
                del self._ends[0]
            if not self._is_signed() or heartbeat:
                await self._sign(self._tree.checkpoint)
        except (JournalUnavailable, NotSigned, NoteRejected, OSError) as error:
            self._note_failure(error)
        else:
            self._note_success()
            await self._thin()

    async def _thin(self) -> None:
        now = self._clock()
        if self._thinned_at is not None and now - self._thinned_at < _BETWEEN_THINNINGS:
            return
        self._thinned_at = now
        try:
            await asyncio.to_thread(thin_checkpoints, self._folder, now)
        except OSError as error:
            _log.warning("old checkpoints of %s cannot be removed: %s", self._folder, error)

    async def _add(self, lines: list[bytes]) -> None:
        tree = self._tree
        try:
            await self._journal.flush()
            await asyncio.to_thread(self._check_place, tree.origin)
            ends = await tree.extend(lines)
        except (JournalUnavailable, OSError):
            if tree is self._tree:
                self._pending[:0] = lines
            raise
        if tree is self._tree:
            self._ends += ends

    def _is_signed(self) -> bool:
        return self._tree.size == (0 if self.signed is None else self.signed.checkpoint.size)

    def _begin_anew(self) -> None:
        """An empty folder came in the place of the journal: its lines are a new tree, with an origin of its own."""
        self._tree = GrowingTree(self._folder, self._journal.origin, ResumedTree([], [], 0, None))
        self._pending, self._ends, self.signed = [], [], None

    async def _sign(self, checkpoint: Checkpoint) -> None:
        key = VerifierKey.of(checkpoint.origin, self._signer.public)
        signature = await self._signer.sign(checkpoint.text.encode())
        signed = SignedCheckpoint.of(checkpoint, key, signature)
        if checkpoint.origin != self._tree.origin:  # the folder is now that of another journal
            return
        await asyncio.to_thread(self._keep, signed)
        cosigned = await self._receiver.cosigned(signed)
        if cosigned != signed:
            await asyncio.to_thread(self._keep, cosigned)
        self.signed, self._signed_at = cosigned, self._clock()
        self._receiver.publish(cosigned)

    def _keep(self, signed: SignedCheckpoint) -> None:
        self._check_place(signed.checkpoint.origin)
        write_checkpoint(self._folder, signed, self._clock())

    def _check_place(self, origin: str) -> None:
        """Raise OSError if the folder is away, or another one is in its place, where the journal may begin anew."""
        found = (self._folder / "origin").read_text(encoding="utf-8").strip()
        if found != origin:
            raise OSError(f"{self._folder} is the journal `{found}`, not `{origin}`")

    def _note_failure(self, error: Exception) -> None:
        self.failures += 1
        if not self.behind:  # logged once, not at every attempt
            self.behind = True
            signed = 0 if self.signed is None else self.signed.checkpoint.size
            _log.error("no checkpoint of %s after line %d could be made: %s", self._folder, signed, error)

    def _note_success(self) -> None:
        if self.behind:
            self.behind = False
            _log.warning("checkpoints of %s are made again", self._folder)
