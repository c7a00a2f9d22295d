from __future__ import annotations

import logging
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import PIPE

import pytest

from pgjit.audit.sink import Sink, SinkBroken
from pgjit.audit.sinks import SINKS
from pgjit.audit.sinks.file import FileSink
from tests.contracts.sink import SinkContract
from tests.run.processes import finish, own


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


@pytest.fixture
def opened(path: Path) -> Iterator[FileSink]:
    sink = FileSink(path)
    sink.open()
    yield sink
    sink.close()


class TestFileSink(SinkContract):
    @pytest.fixture
    def make(self, path: Path) -> Callable[[], Sink]:
        return lambda: SINKS["file"](path)

    @pytest.fixture
    def content(self, path: Path) -> Callable[[], bytes]:
        return path.read_bytes


def test_nobody_else_can_read_the_file(path: Path) -> None:
    path.touch(mode=0o644)
    sink = FileSink(path)
    sink.open()
    sink.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("torn", [b'{"seq":3,"ti', b"\0" * 70_000, b"x" * 200_000])
@pytest.mark.parametrize("whole", [b"", b'{"seq":1}\n{"seq":2}\n'])
def test_half_a_line_is_moved_aside_loudly(
    path: Path, caplog: pytest.LogCaptureFixture, whole: bytes, torn: bytes
) -> None:
    path.write_bytes(whole + torn)
    sink = FileSink(path)
    with caplog.at_level(logging.ERROR):
        last = sink.open()
    sink.close()
    aside = path.with_name("journal.jsonl.torn-1")
    assert last == (b'{"seq":2}\n' if whole else None)
    assert path.read_bytes() == whole
    assert aside.read_bytes() == torn
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600
    assert f"the last {len(torn)} bytes" in caplog.text


def test_an_earlier_torn_line_is_kept(path: Path) -> None:
    for number in (1, 2):
        path.write_bytes(b"a\nhalf %d" % number)
        sink = FileSink(path)
        sink.open()
        sink.close()
    assert path.with_name("journal.jsonl.torn-1").read_bytes() == b"half 1"
    assert path.with_name("journal.jsonl.torn-2").read_bytes() == b"half 2"


def test_a_file_that_was_removed_takes_no_more_lines(opened: FileSink, path: Path) -> None:
    path.unlink()
    with pytest.raises(SinkBroken, match="was removed"):
        opened.append(b"a\n")


def test_a_file_that_someone_else_wrote_to_takes_no_more_lines(opened: FileSink, path: Path) -> None:
    opened.append(b"a\n")
    path.write_bytes(b"")
    for _ in range(2):
        with pytest.raises(SinkBroken):
            opened.append(b"b\n")
    assert path.read_bytes() == b""


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="not a regular file"):
        FileSink(Path("/dev/full")).open()
    with pytest.raises(OSError, match="Is a directory"):
        FileSink(tmp_path).open()
    with pytest.raises(FileNotFoundError):
        FileSink(tmp_path / "none" / "journal.jsonl").open()


class _CannotCut(FileSink):
    """Its file is opened for reading only once it is full: neither written nor cut."""

    def give_it_a_descriptor_that_cannot_write(self) -> None:
        os.dup2(os.open(self._path, os.O_RDONLY), self._descriptor)


def test_half_a_line_that_cannot_be_removed_breaks_the_sink(path: Path) -> None:
    sink = _CannotCut(path)
    sink.open()
    sink.give_it_a_descriptor_that_cannot_write()
    with pytest.raises(SinkBroken, match="half a line"):
        sink.append(b"a\n")
    with pytest.raises(SinkBroken, match="is not open"):
        sink.append(b"a\n")
    sink.close()


_FULL = """
import resource, sys
from pathlib import Path
from pgjit.audit.sinks.file import FileSink

path = Path(sys.argv[1])
sink = FileSink(path)
sink.open()
sink.append(b"first\\n")
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
for attempt in (lambda: sink.append(b"x" * 5000 + b"\\n"), sink.probe):
    try:
        attempt()
    except OSError as error:
        print(error.errno, path.read_bytes())
sink.append(b"small\\n")
print(path.read_bytes())
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
sink.probe()
sink.append(b"y" * 5000 + b"\\n")
print(path.stat().st_size)
"""


@pytest.mark.live
def test_a_line_that_does_not_fit_leaves_nothing_and_the_next_one_goes_in(path: Path) -> None:
    done = finish(sys.executable, "-c", _FULL, path, seconds=60)
    assert done.status == 0, done.err
    assert done.out.splitlines() == [
        "27 b'first\\n'",  # EFBIG, after 994 bytes had been written
        "28 b'first\\n'",  # ENOSPC from the probe
        "b'first\\nsmall\\n'",
        str(len("first\nsmall\n") + 5001),
    ]


_KILLED = """
import sys
from pathlib import Path
from pgjit.audit.sinks.file import FileSink

sink = FileSink(Path(sys.argv[1]))
sink.open()
sink.append(b"recorded\\n")
print("appended", flush=True)
sys.stdin.readline()
"""


@pytest.mark.live
def test_a_line_outlives_a_process_that_is_killed_and_so_does_the_right_to_write(path: Path) -> None:
    with own(sys.executable, "-c", _KILLED, path, stdin=PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "appended\n"
        with pytest.raises(OSError, match="another process writes"):
            FileSink(path).open()
    # Leaving that killed it.
    sink = FileSink(path)
    assert sink.open() == b"recorded\n"
    sink.close()
