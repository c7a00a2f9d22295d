"""Finds the line that differs, when a root does: by the kept hashes of the lines, if those have the signed root.

Decides what was done to a line: changed, removed, added or moved. The hashes are evidence, because nobody can make
others that lead to the same root.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pgjit.audit.proof.finding import FindingKind, ProofFinding
from pgjit.audit.proof.journal_files import JournalFiles
from pgjit.audit.proof.tree import Subtree, join, leaf_hash, root, subtrees_of
from pgjit.audit.segments import Segment, SegmentDamaged

__all__ = ["SuspectSegment", "find_changed_line"]

_SEQ = re.compile(rb'[^}]{0,40}?"seq":([0-9]{1,18}),')


class SuspectSegment(NamedTuple):
    segment: Segment
    before: list[Subtree]  # the subtrees of all lines before it


def find_changed_line(
    files: JournalFiles, suspects: Sequence[SuspectSegment], roots: Mapping[int, bytes]
) -> ProofFinding | None:
    """The first line that differs; None if the kept hashes are missing, or do not have a signed root.

    `roots`: the signed root of each size. Raises OSError.
    """
    for segment, before in suspects:
        signed = _signed_leaves(files.leaves(segment.first), segment.first, before, roots)
        if signed is None:
            return None
        if (finding := _difference(segment, signed)) is not None:
            return finding
    return None


def _signed_leaves(
    leaves: list[bytes], first: int, before: list[Subtree], roots: Mapping[int, bytes]
) -> list[bytes] | None:
    """As many of `leaves` as a signed root covers."""
    for size in sorted((size for size in roots if first < size <= first + len(leaves)), reverse=True):
        covered = leaves[: size - first]
        if root(join(before, subtrees_of(first, covered))) == roots[size]:
            return covered
    return None


def _difference(segment: Segment, signed: Sequence[bytes]) -> ProofFinding | None:
    number = 0
    pending: bytes | None = None  # the line that differs: what was done to it shows in the line after it
    try:
        for line in segment.lines():
            if pending is not None:
                return _named(segment, number - 1, pending, leaf_hash(line), signed)
            if number == len(signed):
                return None
            if leaf_hash(line) != signed[number]:
                pending = line
            number += 1
    except SegmentDamaged:
        pass
    if pending is not None:
        return _named(segment, number - 1, pending, b"", signed)
    if number < len(signed):
        message = f"the segment ends here; {len(signed) - number} more lines of it were signed"
        return ProofFinding("removed", message, segment.name, number + 1, None, segment.first + number)
    return None


def _named(segment: Segment, number: int, line: bytes, next_hash: bytes, signed: Sequence[bytes]) -> ProofFinding:
    expected, following = signed[number], signed[number + 1] if number + 1 < len(signed) else None
    this = leaf_hash(line)
    kind: FindingKind
    if this == following and next_hash == expected:
        kind, message = "moved", "this line and the next changed places after they were signed"
    elif this == following:
        kind, message = "removed", "the line that was signed here is missing; this is the one after it"
    elif next_hash == expected:
        kind, message = "added", "this line was not signed; the one after it was, in this place"
    elif this in signed:
        kind, message = "moved", f"this line was signed as line {signed.index(this) + 1} of the segment"
    else:
        kind, message = "changed", "this line differs from the one that was signed"
    head = _SEQ.match(line)
    seq = None if head is None else int(head[1])
    return ProofFinding(kind, message, segment.name, number + 1, seq, segment.first + number)
