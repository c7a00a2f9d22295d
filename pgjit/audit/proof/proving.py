"""Makes the proof of one line: finds the record in the segments, and its path to the newest signed root.

Decides how a record is named: by its number, or as `<session>/<number>`, which is the execution and not its outcome.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

from pgjit.audit.proof.checkpoint import SignedCheckpoint
from pgjit.audit.proof.inclusion_file import InclusionFile
from pgjit.audit.proof.journal_files import JournalFiles
from pgjit.audit.proof.note import NoteRejected, VerifierKey
from pgjit.audit.proof.stored_tree import StoredTree
from pgjit.audit.proof.tree import inclusion_proof
from pgjit.audit.segments import Segment

__all__ = ["CannotProve", "LineNotSigned", "LineUnknown", "find_line", "prove_record"]

_SEQ = re.compile(rb'\{(?:"v":[0-9]+,)?"seq":([0-9]{1,18}),')
_EXECUTION = re.compile(r"[A-Za-z0-9_-]+/[0-9]+\Z")


class CannotProve(ValueError):
    """There is no proof of this record; the text says why."""


class LineUnknown(CannotProve):
    """There is no such record."""


class LineNotSigned(CannotProve):
    """No checkpoint covers the record yet."""


def prove_record(files: JournalFiles, record: str, keys: Sequence[VerifierKey]) -> InclusionFile:
    """Blocks while it reads. Raises CannotProve, OSError and SegmentDamaged."""
    index, line = find_line(files.segments, record)
    newest = _newest(files, keys)
    size = 0 if newest is None else newest.checkpoint.size
    if newest is None or index >= size:
        place = f"record {record} is line {index + 1}, and the newest checkpoint covers {size} lines"
        raise LineNotSigned(f"{place}: it is not signed yet")
    try:
        proof = inclusion_proof(index, size, StoredTree(files).subtrees(size, index))
    except ValueError as error:  # SegmentDamaged too
        raise CannotProve(f"the tree of the journal cannot be made: {error}") from None
    proved = InclusionFile(line, index, tuple(proof), newest)
    try:
        proved.check(keys)
    except NoteRejected as error:
        raise CannotProve(f"the journal was changed: {error}; `pgjit audit verify` names the line") from None
    return proved


def _newest(files: JournalFiles, keys: Sequence[VerifierKey]) -> SignedCheckpoint | None:
    """The largest that is signed by one of the keys."""
    newest: SignedCheckpoint | None = None
    for _, signed in files.checkpoints():
        if isinstance(signed, NoteRejected) or (
            newest is not None and signed.checkpoint.size <= newest.checkpoint.size
        ):
            continue
        newest = signed
    if newest is not None:
        try:
            newest.check_signed(keys)
        except NoteRejected as error:
            raise CannotProve(f"the newest checkpoint cannot be used: {error}") from None
    return newest


def find_line(segments: Sequence[Segment], record: str) -> tuple[int, bytes]:
    """The line's index, and the line. Raises CannotProve, OSError and SegmentDamaged."""
    if record.isascii() and record.isdigit():
        return _by_number(segments, int(record))
    if _EXECUTION.match(record) is None:
        raise LineUnknown(f"`{record}` is not a record: give its number, or the id of an execution (SESSION/NUMBER)")
    wanted = f'"execution":"{record}"'.encode()
    for segment in segments:
        index = segment.first
        for block in segment.line_blocks():
            for number, line in enumerate(block):
                if wanted in line and b'"type":"execution"' in line[:120]:
                    return index + number, line
            index += len(block)
    raise LineUnknown(f"there is no execution {record} in these segments")


def _by_number(segments: Sequence[Segment], seq: int) -> tuple[int, bytes]:
    """Numbers rise, so the record is in the last segment whose first number is not above it."""
    firsts = [_first_seq(segment) for segment in segments]
    if segments and (position := bisect_right(firsts, seq) - 1) >= 0:
        for index, line in enumerate(segments[position].lines(), segments[position].first):
            head = _SEQ.match(line)
            if head is not None and int(head[1]) == seq:
                return index, line
    raise LineUnknown(f"there is no record {seq} in these segments")


def _first_seq(segment: Segment) -> int:
    line = next(segment.lines(), b"")
    head = _SEQ.match(line)
    return segment.first + 1 if head is None else int(head[1])
