"""Several segments as one sequence: every line has its index, and a gap between two segments is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import zstandard

from pgjit.audit.segments import SegmentDamaged, lines_of, list_segments, segment_name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / f"{segment_name(0)}.jsonl.zst").write_bytes(zstandard.compress(b"0\n1\n2\n"))
    (tmp_path / f"{segment_name(3)}.jsonl").write_bytes(b"3\n4\n")
    (tmp_path / f"{segment_name(5)}.jsonl").write_bytes(b"5\n6\n7\nhal")
    return tmp_path


def _numbered(folder: Path, start: int | None = None) -> list[tuple[int, bytes]]:
    return [
        (index + place, line)
        for index, block in lines_of(list_segments(folder), start)
        for place, line in enumerate(block)
    ]


def test_every_line_has_its_index(folder: Path) -> None:
    assert _numbered(folder) == [(number, b"%d" % number) for number in range(8)]


@pytest.mark.parametrize("start", range(10))
def test_it_begins_where_it_is_asked_to(folder: Path, start: int) -> None:
    assert _numbered(folder, start) == [(number, b"%d" % number) for number in range(start, 8)]


def test_a_journal_whose_oldest_segments_were_dropped_begins_later(folder: Path) -> None:
    (folder / f"{segment_name(0)}.jsonl.zst").unlink()
    assert _numbered(folder) == [(number, b"%d" % number) for number in range(3, 8)]
    with pytest.raises(SegmentDamaged, match="line 2 is before it"):
        _numbered(folder, 2)


def test_a_segment_that_is_missing_is_found(folder: Path) -> None:
    (folder / f"{segment_name(3)}.jsonl").unlink()
    with pytest.raises(SegmentDamaged, match=r"000\.jsonl\.zst, after its line 3: it has 3 lines, and 5 to the next"):
        _numbered(folder)


def test_a_segment_with_a_line_too_many_is_found(folder: Path) -> None:
    (folder / f"{segment_name(3)}.jsonl").write_bytes(b"3\n4\n4\n")
    with pytest.raises(SegmentDamaged, match=r"03\.jsonl, after its line 3: it has 3 lines, and 2 to the next"):
        _numbered(folder)


def test_no_segments_have_no_lines() -> None:
    assert list(lines_of(())) == []
    assert list(lines_of((), 7)) == []
