"""A closed segment read backwards: the same lines, whatever part of them fits into memory."""

from __future__ import annotations

from pathlib import Path

import pytest
import zstandard

from pgjit.audit.segments.backwards import lines_backwards
from pgjit.audit.segments.segment import Segment


@pytest.mark.parametrize("kept_bytes", [1, 1_500_000, 4_000_000, 1 << 30])
@pytest.mark.parametrize("compressed", [True, False])
def test_the_lines_come_in_the_reverse_order(tmp_path: Path, kept_bytes: int, compressed: bool) -> None:
    lines = [b"%d" % number * 400 for number in range(3000)]
    content = b"".join(line + b"\n" for line in lines)
    path = tmp_path / "segment"
    path.write_bytes(zstandard.compress(content) if compressed else content)
    segment = Segment(0, path, compressed=compressed, open=False)
    assert list(lines_backwards(segment, kept_bytes)) == lines[::-1]


def test_a_segment_without_lines_has_none(tmp_path: Path) -> None:
    (tmp_path / "segment").touch()
    assert list(lines_backwards(Segment(0, tmp_path / "segment", compressed=False, open=False))) == []
