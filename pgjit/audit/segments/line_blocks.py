"""The lines of a file or stream, plain or zstd, in blocks of about a MiB.

Decides what a complete line is: bytes up to a newline. Does not know where the stream comes from, so it reads
archived segments too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import zstandard

from pgjit.audit.segments.damage import SegmentDamaged

__all__ = ["line_blocks"]

_BLOCK = 1 << 20
# A hostile file may expand each 4 bytes to 128 KiB: the output of one such step stays under 128 MiB.
_COMPRESSED_STEP = 4096
_LARGEST_WINDOW = 1 << 27


def line_blocks(source: BinaryIO, *, name: str, compressed: bool, unfinished: bool = False) -> Iterator[list[bytes]]:
    """Lists of consecutive lines, without their newlines. A list is never empty.

    `unfinished`: somebody may be writing it, so a rest without newline is left out. Otherwise it raises
    SegmentDamaged, as does a compressed stream that is damaged or cut. Raises OSError.
    """
    count, rest = 0, [b""]
    for block in _decompressed(source) if compressed else _plain(source):
        if isinstance(block, str):
            raise SegmentDamaged(name, count, block)
        first, newline, more = block.partition(b"\n")
        rest.append(first)
        if not newline:
            continue
        lines = [b"".join(rest), *more.split(b"\n")]
        rest = [lines.pop()]
        count += len(lines)
        yield lines
    if not unfinished and any(rest):
        raise SegmentDamaged(name, count, "it ends in half a line")


def _plain(source: BinaryIO) -> Iterator[bytes]:
    while block := source.read(_BLOCK):
        yield block


def _decompressed(source: BinaryIO) -> Iterator[bytes | str]:
    """The content in blocks; as the last item a text if the stream is damaged."""
    decompressor = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW)
    frame, given = decompressor.decompressobj(), False  # given: whether the frame has begun
    pieces: list[bytes] = []
    size = 0
    while compressed := source.read(_COMPRESSED_STEP):
        while compressed:
            try:
                piece = frame.decompress(compressed)
            except zstandard.ZstdError as error:
                yield b"".join(pieces)
                yield f"it cannot be decompressed: {error}"
                return
            pieces.append(piece)
            size += len(piece)
            given, compressed = True, b""
            if frame.eof:
                compressed = frame.unused_data
                frame, given = decompressor.decompressobj(), False
        if size >= _BLOCK:
            yield b"".join(pieces)
            pieces, size = [], 0
    yield b"".join(pieces)
    if given:
        yield "its compressed content is cut off"
