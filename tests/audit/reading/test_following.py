"""A journal that is followed: each line once, across rotation, compression and removal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pgjit.audit.reading.following import JournalFollower
from pgjit.audit.segments import SegmentDamaged
from tests.audit.reading.conftest import compress


@pytest.fixture
def follower(tmp_path: Path) -> Iterator[JournalFollower]:
    with closing(JournalFollower(tmp_path)) as opened:
        yield opened


def write(folder: Path, first: int, *lines: str, end: str = "\n") -> Path:
    path = folder / f"{first:020}.jsonl"
    with path.open("a") as file:
        file.write("\n".join(lines) + end if lines else "")
    return path


def polled(follower: JournalFollower) -> list[str]:
    return [line.decode() for line in follower.poll()]


def test_it_begins_with_the_last_lines_and_goes_on(tmp_path: Path, follower: JournalFollower) -> None:
    write(tmp_path, 0, "a", "b", "c")
    write(tmp_path, 3, "d")
    assert follower.begin(2) == [b"c", b"d"]
    assert polled(follower) == []
    write(tmp_path, 3, "e", "f", end="")
    assert polled(follower) == ["e"]
    write(tmp_path, 3, "f")
    assert polled(follower) == ["ff"]


def test_it_follows_into_new_segments(tmp_path: Path, follower: JournalFollower) -> None:
    first = write(tmp_path, 0, "a")
    assert follower.begin(0) == []
    write(tmp_path, 0, "b")
    write(tmp_path, 2, "c")
    compress(first)
    compress(write(tmp_path, 3, "d", "e"))
    write(tmp_path, 5, "f")
    assert polled(follower) == ["b", "c", "d", "e", "f"]
    assert follower.missed == 0
    write(tmp_path, 5, "g")
    write(tmp_path, 7)
    assert polled(follower) == ["g"]
    write(tmp_path, 7, "h")
    assert polled(follower) == ["h"]


def test_it_begins_before_the_first_line(tmp_path: Path, follower: JournalFollower) -> None:
    assert follower.begin(10) == []
    assert polled(follower) == []
    write(tmp_path, 0, "a")
    assert polled(follower) == ["a"]


def test_lines_that_were_removed_before_they_were_read_are_counted(tmp_path: Path, follower: JournalFollower) -> None:
    write(tmp_path, 0, "a")
    follower.begin(0)
    write(tmp_path, 5, "f")
    assert polled(follower) == ["f"]
    assert follower.missed == 4


def test_it_begins_with_the_segment_that_has_a_moment(tmp_path: Path, follower: JournalFollower) -> None:
    lines = [f'{{"time":"2026-11-29T10:00:0{number}.000000Z"}}' for number in range(6)]
    compress(write(tmp_path, 0, *lines[:2]))
    compress(write(tmp_path, 2, *lines[2:4]))
    write(tmp_path, 4, *lines[4:])
    write(tmp_path, 6)
    rows = [(3, 2), (2, 2), (1, 0), (9, 4)]  # a second, and the first line of its segment
    for second, first in rows:
        found = [line.decode() for line in follower.begin_at(datetime(2026, 11, 29, 10, 0, second, tzinfo=UTC))]
        assert (second, found) == (second, lines[first:])
        assert polled(follower) == []
        follower.close()


def test_a_damaged_segment_ends_it(tmp_path: Path, follower: JournalFollower) -> None:
    damaged = compress(write(tmp_path, 0, "a", "b"))
    damaged.write_bytes(damaged.read_bytes()[:-3])
    write(tmp_path, 2, "c")
    with pytest.raises(SegmentDamaged):
        follower.begin(5)
