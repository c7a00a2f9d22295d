"""Checks a journal against its signed checkpoints, offline: reads and hashes every line, and names what differs.

Decides what is a finding. Trusts the given public keys and nothing else: not the kept hashes, not the names of the
files. Segments are read by several processes.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat

from pgjit.audit.proof.changed_line import SuspectSegment, find_changed_line
from pgjit.audit.proof.checkpoint import SignedCheckpoint
from pgjit.audit.proof.claims import Claim, Claims, Witnessed
from pgjit.audit.proof.finding import FindingKind, ProofFinding
from pgjit.audit.proof.journal_files import JournalFiles
from pgjit.audit.proof.note import NoteRejected, VerifierKey
from pgjit.audit.proof.segment_check import SegmentCheck, check_segment
from pgjit.audit.proof.tree import Subtree, join, root
from pgjit.audit.segments import Segment

__all__ = ["JournalVerification", "verify"]

_WORTH_PROCESSES = 32 << 20  # bytes; starting processes takes longer than to read less
_MOST_FINDINGS = 100


@dataclass(frozen=True, slots=True)
class JournalVerification:
    """`signed`: how many lines the largest checkpoint covers that holds. Lines after it are not proved yet."""

    origin: str
    lines: int
    bytes: int
    segments: int
    removed: int  # lines of segments that retention removed: only their hashes are left
    checkpoints: int  # how many sizes have one that holds
    signed: int
    witnessed: tuple[Witnessed, ...]
    findings: tuple[ProofFinding, ...]

    @property
    def intact(self) -> bool:
        return not self.findings


def verify(
    files: JournalFiles,
    origin: str,
    keys: Sequence[VerifierKey],
    given: Iterable[tuple[str, SignedCheckpoint | NoteRejected]] = (),
    *,
    witnesses: Sequence[VerifierKey] = (),
    progress: Callable[[int, int], None] = lambda _done, _whole: None,
    processes: int | None = None,
) -> JournalVerification:
    """`given`: checkpoints that were kept elsewhere, each with its place. Each of `witnesses` has to have signed one.

    `progress` gets the bytes that were read, and those of all segments. Raises OSError.
    """
    claims = Claims(origin, keys)
    claims.add(files.checkpoints(), every=False)
    claims.add(given, every=True)
    # Listed after the checkpoints were read: so lines that pgjit writes meanwhile are more than is signed, not less.
    sizes = [_size(segment) for segment in files.segments]
    walk, done = _Walk(files, claims), 0
    checks = _checked(files, claims.sizes, (processes or os.cpu_count() or 1) if _is_long(sizes) else 1)
    for segment, check, size in zip(files.segments, checks, sizes, strict=True):
        walk.add(segment, check)
        done += size
        progress(done, sum(sizes))
    return walk.result(witnesses)


def _checked(files: JournalFiles, sizes: Sequence[int], processes: int) -> Iterator[SegmentCheck]:
    segments = files.segments
    folders, kept_from = repeat(files.folders), repeat(segments[0].first if segments else 0)
    within = [_within(segment, following, sizes) for segment, following in _with_next(segments)]
    if processes < 2 or len(segments) < 2:
        yield from map(check_segment, segments, within, folders, kept_from)
        return
    # Not forked: the caller may have threads, that of a progress bar for one.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(processes, len(segments)), mp_context=context) as pool:
        yield from pool.map(check_segment, segments, within, folders, kept_from)


def _size(segment: Segment) -> int:
    try:
        return segment.size
    except FileNotFoundError:  # compressed since it was listed
        return 0


def _is_long(sizes: Sequence[int]) -> bool:
    return sum(sizes) >= _WORTH_PROCESSES


def _with_next(segments: Sequence[Segment]) -> Iterator[tuple[Segment, int | None]]:
    for number, segment in enumerate(segments):
        yield segment, segments[number + 1].first if number + 1 < len(segments) else None


def _within(segment: Segment, following: int | None, sizes: Sequence[int]) -> list[int]:
    return [size for size in sizes if segment.first < size and (following is None or size <= following)]


class _Walk:
    """Joins the segments in order, and compares the root at each size that was signed."""

    def __init__(self, files: JournalFiles, claims: Claims) -> None:
        self._files = files
        self._claims = claims
        self._findings: list[ProofFinding] = []
        self._tree: list[Subtree] = []
        self._whole = True  # no line is known to be missing or changed so far
        self._suspects: list[SuspectSegment] = []
        self._good = 0  # the size of the last checkpoint that is signed and holds; known at the end
        self._bad: int | None = None  # of the first that does not hold
        self._matching: list[Claim] = []  # their roots are the right ones; their signatures are not checked yet
        self._position = 0
        self._last_seq: int | None = None
        self._name = ""
        self._lines = self._bytes = self._removed = self._dropped = self._segments = 0

    def add(self, segment: Segment, check: SegmentCheck) -> None:
        if segment.first != self._position:
            self._step_over(segment)
        self._compare_order(check)
        self._findings += check.findings
        if self._whole:
            self._suspects.append(SuspectSegment(segment, list(self._tree)))
        for piece in check.pieces:
            if not self._whole:
                break
            if piece:
                self._tree = join(self._tree, piece)
                self._compare_root(piece[-1].end)
        self._position = check.end
        self._name = segment.name
        self._segments += 1
        self._lines += check.count
        self._bytes += check.bytes
        self._dropped = max(self._dropped, check.dropped)

    def result(self, witnesses: Sequence[VerifierKey]) -> JournalVerification:
        signed = (claim.signed.checkpoint.size for claim in reversed(self._matching) if self._claims.holds(claim))
        self._good = next(signed, 0)
        if not self._whole:
            self._find_line()
        self._find_cut()
        if self._removed > self._dropped:
            lines = f"lines {self._dropped + 1} to {self._removed} of the journal are missing"
            self._add("removed", f"{lines}, and no record `journal.segment.dropped` says that retention removed them")
        witnessed = tuple(each for key in witnesses if (each := self._claims.witnessed(key)) is not None)
        if not self._matching and not self._findings and not self._claims.findings:
            found = "lines and no checkpoint" if self._lines else "no line and no checkpoint"
            self._add("checkpoint-missing", f"the journal has {found}: nothing is proved")
        findings = [*self._claims.findings, *sorted(self._findings, key=_place)]
        return JournalVerification(
            origin=self._claims.origin,
            lines=self._lines,
            bytes=self._bytes,
            segments=self._segments,
            removed=self._removed,
            checkpoints=len(self._matching),
            signed=self._good,
            witnessed=witnessed,
            findings=tuple(findings[:_MOST_FINDINGS]),
        )

    def _step_over(self, segment: Segment) -> None:
        """`segment` does not begin where the one before it ended."""
        if segment.first < self._position:
            extra = self._position - segment.first
            self._add("added", f"it has {extra} lines more than there are to {segment.name}", self._name)
            self._whole = False
            return
        missing = segment.first - self._position
        kept = self._files.removed(self._position, segment.first) if self._lines == 0 else []
        if kept:
            self._removed += missing
            self._tree = join(self._tree, kept)
            self._compare_root(segment.first)
            return
        lines = f"lines {self._position + 1} to {segment.first} of the journal are missing before {segment.name}"
        self._add("segment-missing" if not self._name else "removed", lines, self._name or segment.name)
        self._whole = False

    def _compare_order(self, check: SegmentCheck) -> None:
        seq, last = check.first_seq, self._last_seq
        if seq is not None and seq <= check.first:
            message = f"record {seq} cannot be line {check.first + 1} of the journal: the segment is in a wrong place"
            self._findings.append(ProofFinding("moved", message, check.name, 1, seq, check.first))
        elif seq is not None and last is not None and seq != last + 1 and (seq <= last or not check.first_is_gap):
            message = f"record {seq} follows record {last} of the segment before"
            self._findings.append(ProofFinding("sequence", message, check.name, 1, seq, check.first))
        self._last_seq = last if check.last_seq is None else check.last_seq

    def _compare_root(self, size: int) -> None:
        claims = self._claims.of_size(size)
        if not claims:
            return
        actual = root(self._tree)
        differing = [claim for claim in claims if claim.signed.checkpoint.root != actual]
        if any(map(self._claims.holds, differing)):
            self._bad = size
            self._whole = False
        elif len(differing) < len(claims):
            self._matching.append(next(claim for claim in claims if claim not in differing))

    def _find_line(self) -> None:
        begin = max((n for n, each in enumerate(self._suspects) if each.segment.first <= self._good), default=0)
        self._suspects = self._suspects[begin:]
        located = find_changed_line(self._files, self._suspects, self._claims.roots)
        if located is not None:
            self._findings.append(located)
        elif self._bad is not None:
            self._findings.append(self._undecided(self._bad))

    def _undecided(self, size: int) -> ProofFinding:
        claim = self._claims.of_size(size)[0]
        suspect = self._suspects[0].segment
        message = (
            f"the lines {self._good + 1} to {size} of the journal are not those that {claim.place} signs; "
            "which of them differs cannot be known, because their hashes are missing or were changed too"
        )
        return ProofFinding("root-differs", message, suspect.name, self._good - suspect.first + 1, None, self._good)

    def _find_cut(self) -> None:
        claim = self._claims.largest
        if claim is None or claim.signed.checkpoint.size <= self._position:
            return
        size = claim.signed.checkpoint.size
        message = f"the journal ends after line {self._position}, and {claim.place} covers {size} lines"
        suspects = self._files.segments
        line = self._position - suspects[-1].first + 1 if suspects else None
        self._findings.append(ProofFinding("cut", message, self._name or None, line, None, self._position))

    def _add(self, kind: FindingKind, message: str, segment: str | None = None) -> None:
        self._findings.append(ProofFinding(kind, message, segment, index=self._position))


def _place(finding: ProofFinding) -> tuple[str, int]:
    """The first line comes first; what has no line comes after the lines of its segment."""
    return (finding.segment or "~", finding.line or 1 << 62)
