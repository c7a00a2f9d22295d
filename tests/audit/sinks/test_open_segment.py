"""One file that is written: all of an append or nothing, on a disk that fills up and in a process that is killed."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE

import pytest

from pgjit.audit.segments import segment_name
from pgjit.audit.sinks import SegmentSink
from pgjit.audit.sinks.open_segment import OpenSegment
from tests.run.processes import finish, own


@contextmanager
def _largest_file(size: int) -> Iterator[None]:
    """Writes beyond this size fail, as on a full disk. The signal that comes with it is ignored by Python."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_lines_are_counted(tmp_path: Path) -> None:
    segment = OpenSegment(tmp_path, 7, new=True)
    segment.append(b"a\nb\n")
    assert (segment.lines, segment.length, segment.torn) == (2, 4, 0)
    segment.close()
    segment.path.write_bytes(b"a\nb\nhalf")
    again = OpenSegment(tmp_path, 7, new=False)
    assert (again.lines, again.length, again.torn) == (2, 4, 4)
    assert again.first_line() == b"a\n"
    again.close()


def test_a_file_that_exists_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    OpenSegment(tmp_path, 0, new=True).close()
    with pytest.raises(FileExistsError):
        OpenSegment(tmp_path, 0, new=True)
    with pytest.raises(FileNotFoundError):
        OpenSegment(tmp_path, 1, new=False)


class _CannotCut(OpenSegment):
    """While its descriptor may only read, it can neither be written nor cut."""

    def swap_descriptor(self, other: int) -> int:
        mine, self._descriptor = self._descriptor, other
        return mine


def test_half_a_line_that_cannot_be_removed_is_removed_before_the_next(tmp_path: Path) -> None:
    segment = _CannotCut(tmp_path, 0, new=True)
    segment.append(b"a\n")
    with segment.path.open("ab") as file:
        file.write(b"hal")
    read_only = os.open(segment.path, os.O_RDONLY)
    writable = segment.swap_descriptor(read_only)
    with pytest.raises(OSError, match=r"Invalid argument|Bad file descriptor"):
        segment.append(b"b\n")
    for _ in range(2):
        with pytest.raises(OSError, match=r"Invalid argument|Bad file descriptor"):
            segment.check()
    os.close(segment.swap_descriptor(writable))
    segment.check()
    segment.append(b"c\n")
    assert segment.path.read_bytes() == b"a\nc\n"
    segment.close()


_FULL = """
import sys
from pathlib import Path
from pgjit.audit.sinks import SegmentSink
from tests.audit.sinks.test_open_segment import _largest_file

sink = SegmentSink(Path(sys.argv[1]))
sink.open()
path = Path(sys.argv[2])
sink.append(b"first\\n")
with _largest_file(1000):
    for attempt in (lambda: sink.append(b"x" * 5000 + b"\\n"), sink.probe):
        try:
            attempt()
        except OSError as error:
            print(error.errno, path.read_bytes())
    sink.append(b"small\\n")
    print(path.read_bytes())
sink.probe()
sink.append(b"y" * 5000 + b"\\n")
print(path.stat().st_size, sink.lines)
"""


@pytest.mark.live
def test_a_line_that_does_not_fit_leaves_nothing_and_the_next_one_goes_in(tmp_path: Path) -> None:
    segment = tmp_path / f"{segment_name(0)}.jsonl"
    done = finish(sys.executable, "-c", _FULL, tmp_path, segment, seconds=60)
    assert done.status == 0, done.err
    assert done.out.splitlines() == [
        "27 b'first\\n'",  # EFBIG, after 994 bytes had been written
        "27 b'first\\n'",
        "b'first\\nsmall\\n'",
        f"{len('firstsmall') + 2 + 5001} 3",
    ]


_KILLED = """
import sys
from pathlib import Path
from pgjit.audit.sinks import SegmentSink

sink = SegmentSink(Path(sys.argv[1]))
sink.open()
sink.append(b"one\\n")
sink.rotate()
sink.append(b"two\\n")
print("appended", flush=True)
sys.stdin.readline()
"""


@pytest.mark.live
def test_a_line_outlives_a_process_that_is_killed_and_so_does_the_right_to_write(tmp_path: Path) -> None:
    with own(sys.executable, "-c", _KILLED, tmp_path, stdin=PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "appended\n"
        with pytest.raises(OSError, match="another process writes"):
            SegmentSink(tmp_path).open()
    # Leaving that killed it.
    sink = SegmentSink(tmp_path)
    opened = sink.open()
    assert (opened.last, opened.first_of_segment, sink.lines) == (b"two\n", b"two\n", 2)
    sink.close()
