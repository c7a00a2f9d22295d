"""Reads one segment for a verification: hashes each line, and looks at the sequence numbers of the records.

Decides what is wrong with a segment by itself. Runs in a process of its own; takes and returns plain values. The tree
of all segments, and the checkpoints, are the matter of `verification.py`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import orjson

from pgjit.audit.proof.finding import ProofFinding
from pgjit.audit.proof.tree import Subtree, join, subtrees_of
from pgjit.audit.results.stored_results import ResultFault, result_line
from pgjit.audit.segments import Segment, SegmentDamaged
from pgjit.audit.segments.journal_place import JournalPlace

__all__ = ["SegmentCheck", "check_segment"]

_SEQ = re.compile(rb'\{(?:"v":[0-9]+,)?"seq":([0-9]{1,18}),')
_GAP = re.compile(rb'"type":"journal\.gap"')
_DROPPED = b'"type":"journal.segment.dropped"'
_RESULT = b'"result":{"file":"'  # inside a text its quotes would be escaped
_HEAD = 200  # bytes of a line that have its type
_MOST_FINDINGS = 20


@dataclass(slots=True)
class SegmentCheck:
    """`pieces`: the subtrees up to each of the sizes that were asked for, and of the rest. `dropped`: how many lines
    retention has removed from the beginning of the journal, by the records in this segment."""

    name: str
    first: int
    count: int = 0
    bytes: int = 0
    first_seq: int | None = None
    first_is_gap: bool = False
    last_seq: int | None = None
    dropped: int = 0
    pieces: list[list[Subtree]] = field(default_factory=list)
    findings: list[ProofFinding] = field(default_factory=list)

    @property
    def end(self) -> int:
        return self.first + self.count


def check_segment(
    segment: Segment, sizes: Sequence[int], places: Sequence[JournalPlace] = (), kept_from: int = 0
) -> SegmentCheck:
    """`sizes`: the sizes of checkpoints, ascending, at which the tree is cut. Raises OSError.

    `places`: where kept results are. Those begun before the line `kept_from` were removed with their segment.
    Records of removed segments are looked for only if `kept_from` is not 0.
    """
    check = SegmentCheck(segment.name, segment.first)
    cuts = [size for size in sizes if size > segment.first]
    piece: list[Subtree] = []
    cut = 0
    try:
        for block in segment.line_blocks():
            _check_sequence(check, block)
            for number, line in enumerate(block, check.count + 1):
                if _RESULT in line:
                    _check_result(check, number, line, places, kept_from)
                if kept_from and line.find(_DROPPED, 0, _HEAD) > 0:
                    check.dropped = max(check.dropped, _dropped_until(line))
            hashes = [sha256(b"\x00" + line).digest() for line in block]
            start, end = check.end, check.end + len(block)
            for size in cuts[cut : bisect_right(cuts, end)]:
                check.pieces.append(join(piece, subtrees_of(start, hashes[: size - start])))
                hashes, start, piece = hashes[size - start :], size, []
                cut += 1
            piece = join(piece, subtrees_of(start, hashes))
            check.count += len(block)
            check.bytes += sum(map(len, block)) + len(block)
    except SegmentDamaged as damage:
        check.findings.append(ProofFinding("segment-damaged", damage.why, segment.name, damage.line + 1))
    check.pieces.append(piece)
    return check


def _check_sequence(check: SegmentCheck, lines: Sequence[bytes]) -> None:
    last, match, number = check.last_seq, _SEQ.match, check.count
    for line in lines:
        number += 1
        head = match(line)
        if head is None:
            _add(check, ProofFinding("not-a-record", "the line is not a record", check.name, number))
            continue
        seq = int(head[1])
        if last is None:
            check.first_seq, check.first_is_gap = seq, _is_gap(line)
        elif seq != last + 1 and (seq <= last or not _is_gap(line)):
            _add(check, _out_of_order(check.name, number, check.first + number - 1, last, seq))
        last = seq
    check.last_seq = last


def _check_result(
    check: SegmentCheck, number: int, line: bytes, places: Sequence[JournalPlace], kept_from: int
) -> None:
    try:
        record = orjson.loads(line)
        reference = record["result"]
        if int(reference["file"][:20]) < kept_from:
            return
        result_line(places, reference)
    except ResultFault as fault:
        message = f"the kept result of execution {record['execution']}: {fault}"
        _add(check, ProofFinding("result-differs", message, check.name, number, record.get("seq")))
    except (ValueError, KeyError, TypeError):
        _add(check, ProofFinding("not-a-record", "the line is not a record", check.name, number))


def _out_of_order(name: str, line: int, index: int, last: int, seq: int) -> ProofFinding:
    if seq > last:
        message = f"record {seq} follows record {last}, and no `journal.gap` says why"
    elif seq == last:
        message = f"record {seq} is there twice"
    else:
        message = f"record {seq} follows record {last}: the numbers go back"
    return ProofFinding("sequence", message, name, line, seq, index)


def _is_gap(line: bytes) -> bool:
    return _GAP.search(line, 0, _HEAD) is not None


def _dropped_until(line: bytes) -> int:
    try:
        record = orjson.loads(line)
        return int(record["first"]) + int(record["lines"])
    except (ValueError, KeyError, TypeError):
        return 0


def _add(check: SegmentCheck, finding: ProofFinding) -> None:
    if len(check.findings) < _MOST_FINDINGS:
        check.findings.append(finding)
