"""A closed segment becomes zstd: the same bytes in a tenth of the space.

Decides the order: the plain file is removed only when the compressed one was read back, is equal, and is on the disk.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import zstandard

from pgjit.audit.durable_file import sync_folder
from pgjit.audit.segments.segment import COMPRESSED, Segment, segment_name

__all__ = ["compress", "remove_parts"]

_BLOCK = 1 << 20
_PART = ".part"


def compress(segment: Segment) -> Path:
    """Replace the plain file of a closed segment. Returns the new file. Raises OSError, and then nothing changed."""
    target = segment.path.with_name(segment_name(segment.first) + COMPRESSED)
    part = target.with_name(target.name + _PART)
    try:
        _write(segment.path, part)
        if not _equal(segment.path, part):
            raise OSError(f"{part} does not have the content of {segment.path}")
        part.rename(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)
    segment.path.unlink()
    return target


def remove_parts(folder: Path) -> None:
    """Remove what a process that was killed left half written. Raises OSError."""
    for part in folder.glob(f"*{COMPRESSED}{_PART}"):
        part.unlink()


def _write(plain: Path, part: Path) -> None:
    compressor = zstandard.ZstdCompressor(write_checksum=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as target, plain.open("rb") as source:
        compressor.copy_stream(source, target, size=plain.stat().st_size)
        target.flush()
        os.fsync(descriptor)


def _equal(plain: Path, part: Path) -> bool:
    with plain.open("rb") as one, part.open("rb") as other:
        read_back = zstandard.ZstdDecompressor().stream_reader(other)
        while block := one.read(_BLOCK):
            if _exactly(read_back, len(block)) != block:
                return False
        return not read_back.read(1)


def _exactly(source: BinaryIO | zstandard.ZstdDecompressionReader, size: int) -> bytes:
    pieces = []
    while size and (piece := source.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
