"""Journals for tests: segments of numbered records, with the checkpoints and kept hashes of a real one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pgjit.audit.proof.checkpoint import Checkpoint, SignedCheckpoint
from pgjit.audit.proof.checkpoint_log import write_checkpoint
from pgjit.audit.proof.journal_files import JournalFiles
from pgjit.audit.proof.note import VerifierKey
from pgjit.audit.proof.side_files import write_leaves, write_subtrees
from pgjit.audit.proof.tree import leaf_hash, root, subtrees_of
from pgjit.audit.proof.verification import JournalVerification, verify
from pgjit.audit.segments import list_segments, segment_name
from tests.audit.proof import vectors

__all__ = ["AT", "KEY", "ORIGIN", "edit_lines", "make_journal", "record", "sign", "verified"]

AT = datetime(2026, 11, 29, tzinfo=UTC)
KEY = VerifierKey.parse(vectors.LOG_KEY)
ORIGIN = KEY.name
_PRIVATE = Ed25519PrivateKey.from_private_bytes(vectors.LOG_SEED)


def record(seq: int, text: str = "SELECT 1") -> bytes:
    time = f"2026-11-29T10:00:00.{seq:06}Z"
    return f'{{"v":1,"seq":{seq},"time":"{time}","type":"execution","statement":"{text}"}}'.encode()


def sign(lines: Sequence[bytes], origin: str = ORIGIN, private: Ed25519PrivateKey = _PRIVATE) -> SignedCheckpoint:
    """The checkpoint of exactly these lines."""
    checkpoint = Checkpoint(origin, len(lines), root(subtrees_of(0, list(map(leaf_hash, lines)))))
    key = VerifierKey.of(origin, private.public_key().public_bytes_raw())
    return SignedCheckpoint.of(checkpoint, key, private.sign(checkpoint.text.encode()))


def make_journal(
    folder: Path,
    lengths: Sequence[int] = (10, 10, 7),
    *,
    every: int = 4,
    lines: Sequence[bytes] | None = None,
    compressed: bool = False,
    private: Ed25519PrivateKey = _PRIVATE,
) -> list[bytes]:
    """Segments of these lengths; a checkpoint after each `every` lines and each segment. Returns the lines."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "origin").write_text(f"{ORIGIN}\n")
    whole = list(map(record, range(1, sum(lengths) + 1))) if lines is None else list(lines)
    first, ends = 0, set()
    for number, length in enumerate(lengths):
        part = whole[first : first + length]
        plain = folder / f"{segment_name(first)}.jsonl"
        plain.write_bytes(b"".join(line + b"\n" for line in part))
        write_leaves(folder, first, map(leaf_hash, part), first)
        if number < len(lengths) - 1:
            write_subtrees(folder, first, subtrees_of(first, list(map(leaf_hash, part))))
            if compressed:
                plain.with_name(f"{plain.name}.zst").write_bytes(zstandard.compress(plain.read_bytes()))
                plain.unlink()
        first += length
        ends.add(first)
    for size in sorted({*range(every, first, every), *ends}):
        write_checkpoint(folder, sign(whole[:size], private=private), AT)
    return whole


def edit_lines(folder: Path, segment: int, edit: Callable[[list[bytes]], object]) -> None:
    """Change the lines of a segment in place, whatever form it has."""
    path = list_segments(folder)[segment].path
    content = path.read_bytes()
    lines = (zstandard.decompress(content) if path.suffix == ".zst" else content).split(b"\n")[:-1]
    edit(lines)
    content = b"".join(line + b"\n" for line in lines)
    path.write_bytes(zstandard.compress(content) if path.suffix == ".zst" else content)


def verified(*folders: Path, given: Sequence[tuple[str, SignedCheckpoint]] = ()) -> JournalVerification:
    return verify(JournalFiles(folders), ORIGIN, [KEY], given, processes=1)


def without_leaves(folder: Path) -> None:
    for path in folder.glob("*.leaves"):
        path.unlink()


def copied(folder: Path, to: Path) -> Path:
    return Path(shutil.copytree(folder, to))
