"""The start: what is in the folder has to agree with the newest checkpoint, or nothing is signed.

Decides whether a journal may be continued. Lines after the newest checkpoint are adopted: a crash came before they
were signed. Nothing is changed where the check fails, because the files are evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from pgjit.audit.proof.checkpoint import SignedCheckpoint
from pgjit.audit.proof.checkpoint_log import NEWEST, newest_checkpoint
from pgjit.audit.proof.journal_files import JournalFiles
from pgjit.audit.proof.note import NoteRejected, VerifierKey
from pgjit.audit.proof.side_files import write_leaves, write_subtrees
from pgjit.audit.proof.stored_tree import StoredTree
from pgjit.audit.proof.tree import Subtree, join, root, subtrees_of
from pgjit.audit.segments import SegmentDamaged
from pgjit.errors import ServerUnavailable

__all__ = ["ResumedTree", "resume"]


@dataclass(slots=True)
class ResumedTree:
    """The tree over all lines, that over the open segment alone, and the checkpoint that it was compared with."""

    subtrees: list[Subtree]
    of_segment: list[Subtree]
    segment: int  # the first line of the open segment
    checkpoint: SignedCheckpoint | None

    @property
    def size(self) -> int:
        return self.subtrees[-1].end if self.subtrees else 0


def resume(folder: Path, origin: str, keys: Sequence[VerifierKey]) -> ResumedTree:
    """Blocks while it reads what no kept subtrees cover. Raises ServerUnavailable and OSError."""
    try:
        newest = newest_checkpoint(folder)
        if newest is not None:
            newest.check_signed(keys)
    except NoteRejected as error:
        raise _tampered(folder, f"{folder / NEWEST} is not accepted: {error}.") from None
    if newest is not None and newest.checkpoint.origin != origin:
        detail = (
            f"Its newest checkpoint is of the journal `{newest.checkpoint.origin}`, and its origin is `{origin}`."
        )
        raise _tampered(folder, detail)
    try:
        return _resumed(folder, _compared(folder, newest), newest)
    except SegmentDamaged as damage:
        raise _tampered(folder, f"{damage}.") from None


def _compared(folder: Path, newest: SignedCheckpoint | None) -> StoredTree:
    tree = StoredTree(JournalFiles([folder]))
    if newest is None:
        return tree
    size, expected = newest.checkpoint.size, newest.checkpoint.root
    subtrees = tree.subtrees(size)
    lines = subtrees[-1].end if subtrees else 0
    if lines < size:
        raise _tampered(folder, f"It has {lines} lines, and its newest checkpoint covers {size}.")
    if root(subtrees) != expected:
        tree = StoredTree(JournalFiles([folder]), use_kept=False)  # it may be only what was kept that is wrong
        if root(tree.subtrees(size)) != expected:
            raise _tampered(folder, f"Its first {size} lines are not those that its newest checkpoint signs.")
    return tree


def _resumed(folder: Path, tree: StoredTree, newest: SignedCheckpoint | None) -> ResumedTree:
    if not tree.segments:
        return ResumedTree([], [], 0, newest)
    for segment, following in pairwise(tree.segments):
        if not tree.kept(segment, following.first):  # a crash came before its hashes were kept
            hashes = [digest for block in tree.leaves(segment) for digest in block]
            write_leaves(folder, segment.first, hashes, segment.first)
            write_subtrees(folder, segment.first, subtrees_of(segment.first, hashes))
    last = tree.segments[-1]
    hashes = [digest for block in tree.leaves(last) for digest in block]
    write_leaves(folder, last.first, hashes, last.first)
    before, within = tree.subtrees(last.first), subtrees_of(last.first, hashes)
    return ResumedTree(join(before, within), within, last.first, newest)


def _tampered(folder: Path, detail: str) -> ServerUnavailable:
    return ServerUnavailable(
        f"journal `{folder}` is not the one that was signed",
        reference="journal-tampered",
        detail=f"{detail} Nothing was changed or signed.",
        hint=(
            f"Run: pgjit audit verify {folder}. Keep the folder as evidence: move it away, find out who changed it "
            "or which backup was restored, and start with an empty folder. If the key was replaced, name the old one "
            "in `journal.checkpoint.previous_keys`."
        ),
    )
