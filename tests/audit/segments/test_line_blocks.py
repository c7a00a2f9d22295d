"""The lines of a plain or compressed stream: all of them, exactly; damage is named."""

from __future__ import annotations

import io

import pytest
import zstandard

from pgjit.audit.segments import SegmentDamaged, line_blocks

_LINES = [b"%d" % number * (number % 50) for number in range(20_000)]
_CONTENT = b"".join(line + b"\n" for line in _LINES)
_COMPRESSED = zstandard.ZstdCompressor(write_checksum=True).compress(_CONTENT)


def _read(content: bytes, *, compressed: bool = False, unfinished: bool = False) -> list[bytes]:
    blocks = list(line_blocks(io.BytesIO(content), name="here", compressed=compressed, unfinished=unfinished))
    assert all(blocks)
    return [line for block in blocks for line in block]


def test_a_plain_and_a_compressed_stream_give_the_same_lines() -> None:
    assert _read(_CONTENT) == _LINES
    assert _read(_COMPRESSED, compressed=True) == _LINES


def test_several_frames_are_read_as_one() -> None:
    assert _read(_COMPRESSED + _COMPRESSED, compressed=True) == _LINES * 2


@pytest.mark.parametrize("length", [1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_a_line_may_be_longer_than_a_block(length: int) -> None:
    content = b"a\n" + b"b" * length + b"\n\nc\n"
    expected = [b"a", b"b" * length, b"", b"c"]
    assert _read(content) == expected
    assert _read(zstandard.compress(content), compressed=True) == expected


def test_nothing_has_no_lines() -> None:
    assert _read(b"") == []
    assert _read(b"", compressed=True) == []
    assert _read(zstandard.compress(b""), compressed=True) == []


def test_an_unfinished_line_is_left_out_while_it_is_written_and_is_damage_later() -> None:
    assert _read(b"a\nb\nhalf", unfinished=True) == [b"a", b"b"]
    with pytest.raises(SegmentDamaged, match="here, after its line 2: it ends in half a line"):
        _read(b"a\nb\nhalf")


@pytest.mark.parametrize("cut", [1, 4, 5, len(_COMPRESSED) // 2, len(_COMPRESSED) - 1])
def test_a_compressed_stream_that_is_cut_is_damage(cut: int) -> None:
    with pytest.raises(SegmentDamaged, match="cut off"):
        _read(_COMPRESSED[:-cut], compressed=True)


def test_a_compressed_stream_with_a_changed_byte_is_damage() -> None:
    changed = bytearray(_COMPRESSED)
    changed[len(changed) // 2] ^= 1
    with pytest.raises(SegmentDamaged, match="cannot be decompressed"):
        _read(bytes(changed), compressed=True)


def test_lines_before_the_damage_are_read() -> None:
    read: list[list[bytes]] = []
    with pytest.raises(SegmentDamaged) as damage:
        read.extend(line_blocks(io.BytesIO(_COMPRESSED + b"no frame"), name="here", compressed=True))
    assert [line for block in read for line in block] == _LINES
    assert damage.value.line == len(_LINES)
