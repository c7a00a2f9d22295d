"""The state of one journal: how much there is of it, and how much of that is signed.

Reads the newest checkpoint and the last segment, and hashes no line: whether a line was changed is decided by
`verification.py`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from pgjit.audit.proof.checkpoint import SignedCheckpoint
from pgjit.audit.proof.checkpoint_log import newest_checkpoint, newest_checkpoint_time
from pgjit.audit.proof.note import COSIGNATURE, NoteRejected
from pgjit.audit.proof.proved_journals import ProvedJournal
from pgjit.audit.segments import Segment, SegmentDamaged

__all__ = ["journal_state", "segment_bytes"]


def journal_state(journal: ProvedJournal) -> dict[str, Any]:
    """`lines`: of the whole journal, those that retention removed included. `signed`: of the newest checkpoint that
    one of the journal's keys signed. `fault`: why that is not the newest there is, or why a file cannot be read.

    Raises OSError where the journal cannot be listed.
    """
    segments = journal.files.segments
    lines, last, fault = _end(segments)
    signed, signed_at, rejected = _newest(journal)
    size = 0 if signed is None else signed.checkpoint.size
    return {
        "origin": journal.origin,
        "segments": len(segments),
        "bytes": sum(map(segment_bytes, segments)),
        "lines": lines,
        "removed": segments[0].first if segments else 0,
        "first_at": _first_at(segments),
        "last_at": None if last is None else _time(last),
        "signed": size,
        "unsigned": max(0, lines - size),
        "signed_at": None if signed_at is None else signed_at.isoformat(),
        "witnesses": [] if signed is None else _cosigners(signed, journal),
        "keys": [key.text for key in journal.keys],
        "fault": rejected or fault,
    }


def _end(segments: tuple[Segment, ...]) -> tuple[int, bytes | None, str | None]:
    """How many lines there are up to the end of the last segment, the last line, and what is wrong with it."""
    if not segments:
        return 0, None, None
    count, last = segments[-1].first, None
    try:
        for block in segments[-1].line_blocks():
            count += len(block)
            last = block[-1] if block else last
    except (SegmentDamaged, OSError) as damage:
        return count, last, str(damage)
    if last is None and len(segments) > 1:  # it was just begun
        return (count, *_end(segments[:-1])[1:])
    return count, last, None


def _newest(journal: ProvedJournal) -> tuple[SignedCheckpoint | None, datetime | None, str | None]:
    """The newest checkpoint that holds, when it was written, and why the newest one does not."""
    rejected: str | None = None
    for folder in journal.files.folders:
        if not isinstance(folder, Path):
            continue  # copies lag behind the journal's own folder
        try:
            signed = newest_checkpoint(folder)
            if signed is None:
                continue
            if signed.checkpoint.origin != journal.origin:
                raise NoteRejected(f"it is of the journal `{signed.checkpoint.origin}`")
            signed.check_signed(journal.keys)
        except NoteRejected as fault:
            rejected = rejected or f"the newest checkpoint in {folder} does not count: {fault}"
            continue
        return signed, newest_checkpoint_time(folder), rejected
    return None, None, rejected


def _cosigners(signed: SignedCheckpoint, journal: ProvedJournal) -> list[str]:
    """The names on the checkpoint beside the journal's own. Their signatures are not checked here."""
    own = {(key.name, key.key_id) for key in journal.keys if key.kind != COSIGNATURE}
    return [each.name for each in signed.note.signatures if (each.name, each.key_id) not in own]


def _first_at(segments: tuple[Segment, ...]) -> str | None:
    try:
        for segment in segments:
            for line in segment.lines():
                return _time(line)
    except (SegmentDamaged, OSError):
        return None
    return None


def _time(line: bytes) -> str | None:
    """When a record was made; None if the line is no record."""
    try:
        return datetime.fromisoformat(orjson.loads(line)["time"]).astimezone(UTC).isoformat()
    except (ValueError, KeyError, TypeError):
        return None


def segment_bytes(segment: Segment) -> int:
    """The size of its file; 0 if the file is gone since the folder was listed. Raises OSError."""
    try:
        return segment.size
    except FileNotFoundError:  # compressed since it was listed
        return 0
