"""The tree of a journal while it is written, and what is kept beside its segments as it grows.

Decides how lines are given to segments: a segment that begins at or before a line is listed in the folder. Hashing is
cut into short slices, so that it never holds up the event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import ParamSpec

from pgjit.audit.proof.checkpoint import Checkpoint
from pgjit.audit.proof.resume import ResumedTree
from pgjit.audit.proof.side_files import write_leaves, write_subtrees
from pgjit.audit.proof.tree import join, root, subtrees_of
from pgjit.audit.segments import list_segments

__all__ = ["GrowingTree"]

P = ParamSpec("P")

_log = logging.getLogger("pgjit.journal.proof")
_SLICE = 64  # lines, about 0.2 ms


class GrowingTree:
    def __init__(self, folder: Path, origin: str, resumed: ResumedTree) -> None:
        self.origin = origin
        self._folder = folder
        self._subtrees = resumed.subtrees
        self._of_segment = resumed.of_segment
        self._segment = resumed.segment

    @property
    def size(self) -> int:
        return self._subtrees[-1].end if self._subtrees else 0

    @property
    def checkpoint(self) -> Checkpoint:
        return Checkpoint(self.origin, self.size, root(self._subtrees))

    async def extend(self, lines: Sequence[bytes]) -> list[Checkpoint]:
        """Add lines, each with its newline, which are on the disk. Returns the ends of segments that were closed.

        Raises OSError; then nothing was added.
        """
        start, done = self.size, 0
        begun = await asyncio.to_thread(self._firsts)
        ends = []
        for first in begun:
            if self._segment < first <= start + len(lines):
                await self._add(lines[done : first - start])
                done = first - start
                await asyncio.to_thread(self._keep, write_subtrees, self._folder, self._segment, self._of_segment)
                self._segment, self._of_segment = first, []
                ends.append(self.checkpoint)
        await self._add(lines[done:])
        return ends

    async def _add(self, lines: Sequence[bytes]) -> None:
        start = self.size
        hashes: list[bytes] = []
        for at in range(0, len(lines), _SLICE):
            digests = [sha256(b"\x00" + line[:-1]).digest() for line in lines[at : at + _SLICE]]
            part = subtrees_of(self.size, digests)
            self._subtrees, self._of_segment = join(self._subtrees, part), join(self._of_segment, part)
            hashes += digests
            await asyncio.sleep(0)
        if hashes:
            await asyncio.to_thread(self._keep, write_leaves, self._folder, self._segment, hashes, start)

    def _firsts(self) -> list[int]:
        return [segment.first for segment in list_segments(self._folder)]

    def _keep(self, write: Callable[P, None], *arguments: P.args, **named: P.kwargs) -> None:
        """What is kept beside a segment can be made again from its lines, so a failure is no reason to stop."""
        try:
            write(*arguments, **named)
        except OSError as error:
            _log.warning("the hashes of a segment in %s were not kept: %s", self._folder, error)
