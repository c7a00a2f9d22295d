"""Following the journal: every line once, whatever the writer does with its files."""

from __future__ import annotations

import random
from pathlib import Path

import zstandard

from pgjit.audit.segments import SegmentDamaged, segment_name
from pgjit.audit.segments.journal_tail import JournalTail


class Folder:
    """A journal's folder, as a writer leaves it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = 0
        self.first = 0

    def append(self, *lines: bytes, half: bytes = b"") -> None:
        with (self.path / f"{segment_name(self.first)}.jsonl").open("ab") as file:
            file.write(b"".join(line + b"\n" for line in lines) + half)
        self.lines += len(lines)

    def rotate(self) -> None:
        self.first = self.lines

    def compress(self, first: int) -> None:
        plain = self.path / f"{segment_name(first)}.jsonl"
        plain.with_name(plain.name + ".zst").write_bytes(zstandard.ZstdCompressor().compress(plain.read_bytes()))
        plain.unlink()


def test_lines_come_as_they_are_written_and_half_a_line_waits(tmp_path: Path) -> None:
    folder, tail = Folder(tmp_path), JournalTail(tmp_path, 0)
    assert tail.read() == []
    folder.append(b"one", half=b"tw")
    assert tail.read() == [b"one"]
    assert tail.read() == []
    with (tmp_path / f"{segment_name(0)}.jsonl").open("ab") as file:
        file.write(b"o\nthree\n")
    assert tail.read() == [b"two", b"three"]
    assert (tail.index, tail.skipped) == (3, 0)


def test_a_segment_that_is_compressed_while_it_is_read_is_read_to_its_end(tmp_path: Path) -> None:
    folder, tail = Folder(tmp_path), JournalTail(tmp_path, 0)
    folder.append(b"one")
    assert tail.read() == [b"one"]
    folder.append(b"two")
    folder.rotate()
    folder.append(b"three")
    folder.compress(0)
    assert tail.read() + tail.read() == [b"two", b"three"]


def test_it_begins_in_the_middle_of_any_segment(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for segment in range(3):
        folder.append(*(b"%d" % (10 * segment + line) for line in range(10)))
        folder.rotate()
    folder.compress(10)
    for start in range(31):
        tail, lines = JournalTail(tmp_path, start), []
        while more := tail.read():
            lines += more
        assert lines == [b"%d" % line for line in range(start, 30)]


def test_missing_lines_are_skipped_and_counted(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for text in (b"a", b"b", b"c"):
        folder.append(text)
        folder.rotate()
    (tmp_path / f"{segment_name(0)}.jsonl").unlink()
    tail = JournalTail(tmp_path, 0)
    assert tail.read() == [b"b"]
    (tmp_path / f"{segment_name(2)}.jsonl").rename(tmp_path / f"{segment_name(5)}.jsonl")
    assert tail.read() == [b"c"]
    assert (tail.index, tail.skipped) == (6, 4)


def test_a_journal_that_was_cut_goes_on_at_its_end(tmp_path: Path) -> None:
    folder, tail = Folder(tmp_path), JournalTail(tmp_path, 7)
    folder.append(b"a", b"b")
    assert tail.read() == []
    folder.append(b"c")
    assert tail.read() == [b"c"]


def test_a_line_longer_than_a_block_is_one_line(tmp_path: Path) -> None:
    folder, tail = Folder(tmp_path), JournalTail(tmp_path, 0)
    folder.append(b"x" * 1_000_000, b"y")
    assert [len(line) for line in tail.read() + tail.read()] == [1_000_000, 1]


def test_each_line_once_at_any_time_of_reading(tmp_path: Path) -> None:
    chance = random.Random(5)
    for run in range(20):
        place = tmp_path / str(run)
        place.mkdir()
        folder, tail, lines, closed = Folder(place), JournalTail(place, 0), [], list[int]()
        for number in range(120):
            folder.append(b"%d" % number)
            if chance.random() < 0.1:
                closed.append(folder.first)
                folder.rotate()
            if closed and chance.random() < 0.1:
                folder.compress(closed.pop(0))
            if chance.random() < 0.2:
                lines += tail.read()
            if chance.random() < 0.05:
                tail.close()
                tail = JournalTail(place, tail.index)
        while more := tail.read():
            lines += more
        assert lines == [b"%d" % number for number in range(120)]


def test_losses_and_damage_are_reported(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for text in (b"a", b"b", b"c"):
        folder.append(text)
        folder.rotate()
    folder.compress(0)
    damaged = tmp_path / f"{segment_name(0)}.jsonl.zst"
    damaged.write_bytes(damaged.read_bytes()[:-3])
    (tmp_path / f"{segment_name(1)}.jsonl").unlink()
    losses, damages = list[str](), list[SegmentDamaged]()
    tail = JournalTail(tmp_path, 0, on_loss=losses.append, on_damage=damages.append)
    assert tail.read() == [b"c"]
    assert (tail.index, tail.skipped, len(damages)) == (3, 2, 1)
    assert losses == ["the journal lacks the 2 lines from 0 on"]
