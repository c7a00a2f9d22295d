"""What is kept of a segment besides its lines: the hash of each line, and the subtrees over all of them.

- `<first>.leaves`: 32 bytes for each line. It may be removed: without it, `verify` names a changed line less exactly.
- `<first>.subtrees`: written when the segment is closed. With it the segment is not read at the next start, and
  proofs about later lines can be made after the segment itself was removed by retention.

Neither is believed: what is made from them has to have the root that was signed.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import orjson

from pgjit.audit.durable_file import replace_file
from pgjit.audit.proof.tree import HASH_BYTES, Subtree
from pgjit.audit.segments import segment_name
from pgjit.audit.segments.journal_place import JournalPlace, content_at

__all__ = ["kept_subtrees", "leaves_path", "read_leaves", "read_subtrees", "write_leaves", "write_subtrees"]

_LEAVES, _SUBTREES = ".leaves", ".subtrees"


def leaves_path(folder: Path, first: int) -> Path:
    return folder / f"{segment_name(first)}{_LEAVES}"


def write_leaves(folder: Path, first: int, leaf_hashes: Iterable[bytes], start: int) -> None:
    """Write the hashes of the lines from index `start` on, and remove those that followed. Raises OSError."""
    descriptor = os.open(leaves_path(folder, first), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        file.truncate((start - first) * HASH_BYTES)
        file.seek(0, os.SEEK_END)
        file.writelines(leaf_hashes)


def read_leaves(folder: JournalPlace, first: int) -> list[bytes]:
    """The hashes of the lines of a segment; empty if they were not kept. Raises OSError."""
    content = content_at(folder, f"{segment_name(first)}{_LEAVES}") or b""
    return [content[at : at + HASH_BYTES] for at in range(0, len(content) - HASH_BYTES + 1, HASH_BYTES)]


def write_subtrees(folder: Path, first: int, subtrees: Sequence[Subtree]) -> None:
    """Raises OSError."""
    rows = [[subtree.start, subtree.level, base64.b64encode(subtree.digest).decode()] for subtree in subtrees]
    replace_file(folder / f"{segment_name(first)}{_SUBTREES}", orjson.dumps(rows) + b"\n")


def read_subtrees(folder: JournalPlace, first: int) -> list[Subtree]:
    """Those of the closed segment that begins with line `first`; empty if they were not kept. Raises OSError."""
    content = content_at(folder, f"{segment_name(first)}{_SUBTREES}")
    if content is None:
        return []
    try:
        subtrees = [Subtree(start, level, base64.b64decode(digest)) for start, level, digest in orjson.loads(content)]
        position = first
        for subtree in subtrees:
            if subtree.start != position or not 0 <= subtree.level < 64 or len(subtree.digest) != HASH_BYTES:
                return []
            position = subtree.end
    except (ValueError, TypeError):
        return []
    return subtrees


def kept_subtrees(folder: JournalPlace, start: int, end: int) -> list[Subtree]:
    """Those of removed segments that covered the lines `[start, end)`; empty if one is missing. Raises OSError."""
    subtrees: list[Subtree] = []
    while start < end:
        part = read_subtrees(folder, start)
        if not part or part[-1].end > end:
            return []
        subtrees += part
        start = part[-1].end
    return subtrees
