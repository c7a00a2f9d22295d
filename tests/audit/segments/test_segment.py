"""A folder's segments: named and ordered by their first line, read in both forms, also while they change form."""

from __future__ import annotations

from pathlib import Path

import pytest
import zstandard

from pgjit.audit.segments import SegmentDamaged, list_segments, segment_name


def _plain(folder: Path, first: int, content: bytes) -> Path:
    path = folder / f"{segment_name(first)}.jsonl"
    path.write_bytes(content)
    return path


def _compressed(folder: Path, first: int, content: bytes) -> Path:
    path = folder / f"{segment_name(first)}.jsonl.zst"
    path.write_bytes(zstandard.compress(content))
    return path


def test_segments_are_in_order_and_the_last_is_open(tmp_path: Path) -> None:
    _plain(tmp_path, 12, b"c\n")
    _compressed(tmp_path, 0, b"a\n" * 10)
    _plain(tmp_path, 10, b"b\n" * 2)
    segments = list_segments(tmp_path)
    assert [(each.first, each.compressed, each.open) for each in segments] == [
        (0, True, False),
        (10, False, False),
        (12, False, True),
    ]
    assert [list(each.lines()) for each in segments] == [[b"a"] * 10, [b"b"] * 2, [b"c"]]


def test_other_files_are_no_segments(tmp_path: Path) -> None:
    for name in (
        "lock",
        "origin",
        "checkpoint",
        f"{0:020}.leaves",
        f"{0:020}.jsonl.zst.part",
        f"{0:019}.jsonl",
        "torn-1",
    ):
        (tmp_path / name).touch()
    assert list_segments(tmp_path) == ()


def test_a_folder_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list_segments(tmp_path / "missing")


def test_of_two_forms_the_plain_one_counts(tmp_path: Path) -> None:
    _compressed(tmp_path, 0, b"a\n")
    plain = _plain(tmp_path, 0, b"a\n")
    (segment,) = list_segments(tmp_path)
    assert segment.path == plain


def test_a_segment_that_is_compressed_after_the_folder_was_listed_is_read(tmp_path: Path) -> None:
    plain = _plain(tmp_path, 0, b"a\nb\n")
    _plain(tmp_path, 2, b"c\n")
    segment = list_segments(tmp_path)[0]
    _compressed(tmp_path, 0, b"a\nb\n")
    plain.unlink()
    assert list(segment.lines()) == [b"a", b"b"]


def test_only_the_open_segment_may_end_in_half_a_line(tmp_path: Path) -> None:
    _plain(tmp_path, 0, b"a\nhal")
    _plain(tmp_path, 1, b"b\nhal")
    closed, last = list_segments(tmp_path)
    assert list(last.lines()) == [b"b"]
    with pytest.raises(SegmentDamaged, match=r"00000\.jsonl, after its line 1: it ends in half a line"):
        list(closed.lines())
