"""The checkpoints in a journal's folder: `checkpoint` is the newest, `checkpoints.jsonl` has all of them.

Decides the order in which both are written, and which is the newest after a crash in between. Does not decide whether
a checkpoint is true.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import orjson

from pgjit.audit.durable_file import append_line, replace_file
from pgjit.audit.proof.checkpoint import SignedCheckpoint
from pgjit.audit.proof.note import NoteRejected

__all__ = [
    "CHECKPOINTS",
    "NEWEST",
    "checkpoint_line",
    "checkpoints_in",
    "newest_checkpoint",
    "newest_checkpoint_time",
    "read_checkpoints",
    "write_checkpoint",
]

NEWEST = "checkpoint"
CHECKPOINTS = "checkpoints.jsonl"
_MOST_OF_LINE = 256 * 1024  # more than a note may have


def write_checkpoint(folder: Path, signed: SignedCheckpoint, at: datetime) -> None:
    """Every line that it covers is on the disk. When it returns, the checkpoint may be sent. Raises OSError."""
    append_line(folder / CHECKPOINTS, checkpoint_line(signed, at))
    replace_file(folder / NEWEST, signed.note.content())


def checkpoint_line(signed: SignedCheckpoint, at: datetime) -> bytes:
    """One line of JSON, without its newline. The time is ours, and is not signed."""
    time = at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return orjson.dumps({"time": time, "size": signed.checkpoint.size, "checkpoint": signed.note.content().decode()})


def read_checkpoints(path: Path) -> Iterator[tuple[str, SignedCheckpoint | NoteRejected]]:
    """The checkpoints in a file, each with its place: one signed note, or lines as `checkpoints.jsonl` has them.

    Raises OSError.
    """
    yield from checkpoints_in(str(path), path.read_bytes())


def checkpoints_in(path: str, content: bytes) -> Iterator[tuple[str, SignedCheckpoint | NoteRejected]]:
    """The same of a content. Half a line at the end, of a crash, is left out if it is not the only line."""
    if not content.startswith(b"{"):
        try:
            yield path, SignedCheckpoint.parse(content)
        except NoteRejected as error:
            yield path, error
        return
    *lines, rest = content.split(b"\n")
    for number, line in enumerate([*lines, rest] if rest else lines, 1):
        place = f"{path}:{number}"
        try:
            yield place, SignedCheckpoint.parse(_note_of(line))
        except NoteRejected as error:
            if number <= len(lines) or not lines:
                yield place, error


def newest_checkpoint(folder: Path) -> SignedCheckpoint | None:
    """The last one that was written; None if there is none. Raises OSError, NoteRejected."""
    newest: SignedCheckpoint | None = None
    contents = [path.read_bytes()] if (path := folder / NEWEST).exists() else []
    if line := _last_line(folder / CHECKPOINTS):  # a crash may have come before the other file was replaced
        contents.append(_note_of(line))
    for content in contents:
        signed = SignedCheckpoint.parse(content)
        if newest is None or signed.checkpoint.size > newest.checkpoint.size:
            newest = signed
    return newest


def newest_checkpoint_time(folder: Path) -> datetime | None:
    """When the last one was written, as this machine noted it; nobody signed that. None if it is not known.

    Raises OSError.
    """
    try:
        return datetime.fromisoformat(orjson.loads(_last_line(folder / CHECKPOINTS))["time"])
    except (ValueError, TypeError, KeyError):
        return None


def _last_line(path: Path) -> bytes:
    if not path.exists():
        return b""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _MOST_OF_LINE))
        return file.read().rpartition(b"\n")[0].rpartition(b"\n")[2]


def _note_of(line: bytes) -> bytes:
    try:
        return str(orjson.loads(line)["checkpoint"]).encode()
    except (ValueError, TypeError, KeyError):
        raise NoteRejected("it is not a line with a checkpoint") from None
