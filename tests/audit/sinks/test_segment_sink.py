"""A folder of segments: one writer, in order, healed after a crash, found again after its folder was away."""

from __future__ import annotations

import logging
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from pgjit.audit.results import result_files
from pgjit.audit.segments import list_segments, segment_name
from pgjit.audit.sink import Sink, SinkBroken, SinkLost, TornLine
from pgjit.audit.sinks import SegmentSink, open_segment
from tests.contracts.sink import SinkContract
from tests.run.journal_text import journal_text
from tests.run.processes import finish


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def opened(folder: Path) -> Iterator[SegmentSink]:
    sink = SegmentSink(folder, "node-a/0")
    sink.open()
    yield sink
    sink.close()


def _plain(folder: Path, first: int) -> Path:
    return folder / f"{segment_name(first)}.jsonl"


def _text(folder: Path) -> bytes:
    return journal_text(folder).encode()


class TestSegmentSink(SinkContract):
    @pytest.fixture
    def make(self, folder: Path) -> Callable[[], Sink]:
        return lambda: SegmentSink(folder)

    @pytest.fixture
    def content(self, folder: Path) -> Callable[[], bytes]:
        return lambda: _text(folder)


def test_nobody_else_can_read_the_journal(folder: Path) -> None:
    folder.mkdir(mode=0o755)
    _plain(folder, 0).touch(mode=0o644)
    sink = SegmentSink(folder)
    sink.open()
    sink.append(b"a\n")
    sink.rotate()
    sink.close()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_the_origin_names_the_writer_and_is_of_one_journal_only(opened: SegmentSink, tmp_path: Path) -> None:
    other = SegmentSink(tmp_path / "other", "node-a/0")
    other.open()
    other.close()
    again = SegmentSink(tmp_path / "other", "node-b/1")
    again.open()
    assert opened.origin.startswith("node-a/0/")
    assert again.origin.startswith("node-a/0/")
    assert again.origin != opened.origin
    again.close()


# --- after a crash --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("torn", [b'{"seq":3,"ti', b"\0" * 70_000, b"x" * 2_000_000])
@pytest.mark.parametrize("whole", [b"", b'{"seq":1}\n{"seq":2}\n'])
def test_half_a_line_is_moved_aside_loudly(
    folder: Path, caplog: pytest.LogCaptureFixture, whole: bytes, torn: bytes
) -> None:
    folder.mkdir()
    _plain(folder, 0).write_bytes(whole + torn)
    sink = SegmentSink(folder)
    with caplog.at_level(logging.ERROR):
        state = sink.open()
    sink.close()
    line = whole.count(b"\n")
    aside = folder / f"torn-{segment_name(line)}"
    assert state.last == (b'{"seq":2}\n' if whole else None)
    assert state.torn == TornLine(line, len(torn), (aside.name,))
    assert _plain(folder, 0).read_bytes() == whole
    assert aside.read_bytes() == torn
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600
    assert f"the last {len(torn)} bytes" in caplog.text


def test_a_torn_line_is_to_be_recorded_until_its_place_is_taken(folder: Path) -> None:
    folder.mkdir()
    for number in (1, 2):
        _plain(folder, 0).write_bytes(b"a\nhalf %d" % number)
        sink = SegmentSink(folder)
        torn = sink.open().torn
        sink.close()
    first = f"torn-{segment_name(1)}"
    assert torn == TornLine(1, 12, (first, f"{first}.2"))
    sink.open()
    sink.append(b"recorded\n")
    sink.close()
    assert sink.open().torn is None
    sink.close()
    assert [(folder / name).read_bytes() for name in torn.files] == [b"half 1", b"half 2"]


def test_a_segment_after_lines_that_a_crash_lost_is_moved_aside(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The kernel may write a later file first: the lines of both were not flushed yet."""
    folder.mkdir()
    _plain(folder, 0).write_bytes(b"a\nb\nhal")
    _plain(folder, 5).write_bytes(b"f\n")
    sink = SegmentSink(folder)
    state = sink.open()
    assert state.last == b"b\n"
    assert state.torn is not None
    assert (state.torn.line, state.torn.bytes) == (2, 5)
    sink.append(b"c\n")
    sink.close()
    assert _text(folder) == b"a\nb\nc\n"
    assert "follows lines that were lost" in caplog.text


def test_the_segment_after_a_compressed_one_begins_where_that_ends(folder: Path) -> None:
    folder.mkdir()
    (folder / f"{segment_name(3)}.jsonl.zst").write_bytes(zstandard.compress(b"d\ne\n"))
    sink = SegmentSink(folder)
    assert sink.open().last == b"e\n"
    sink.append(b"f\n")
    sink.close()
    assert [(each.first, list(each.lines())) for each in list_segments(folder)] == [(3, [b"d", b"e"]), (5, [b"f"])]


# --- a folder that goes away ----------------------------------------------------------------------------------


def test_a_folder_that_was_moved_away_takes_lines_again_when_it_is_back(opened: SegmentSink, folder: Path) -> None:
    opened.append(b"a\n")
    away = folder.rename(folder.with_name("away"))
    attempts: list[Callable[[], None]] = [lambda: opened.append(b"b\n"), opened.rotate, opened.probe]
    for attempt in attempts:
        with pytest.raises(SinkLost):
            attempt()
    with pytest.raises(FileNotFoundError):
        opened.reopen()
    away.rename(folder)
    assert opened.reopen()
    opened.append(b"c\n")
    assert _text(folder) == b"a\nc\n"


def test_in_a_new_folder_a_new_log_begins(
    opened: SegmentSink, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    opened.append(b"a\n")
    origin = opened.origin
    shutil.rmtree(folder)
    with pytest.raises(SinkLost):
        opened.append(b"b\n")
    with pytest.raises(FileNotFoundError):
        opened.reopen()
    assert not folder.exists()  # it may be a disk that is not mounted: pgjit does not make it again
    folder.mkdir()
    assert not opened.reopen()
    assert opened.origin != origin
    assert opened.lines == 0
    opened.append(b"c\n")
    opened.flush()
    assert _text(folder) == b"c\n"
    assert f"its 1 lines of {origin} are missing" in caplog.text
    with pytest.raises(OSError, match="another process writes"):
        SegmentSink(folder).open()


def test_the_folder_of_another_journal_is_not_taken(opened: SegmentSink, folder: Path, tmp_path: Path) -> None:
    other = SegmentSink(tmp_path / "other")
    other.open()
    other.close()
    shutil.rmtree(folder)
    with pytest.raises(SinkLost):
        opened.probe()
    (tmp_path / "other").rename(folder)
    with pytest.raises(OSError, match="is another journal"):
        opened.reopen()


def test_a_segment_that_was_removed_takes_no_lines_until_a_restart(opened: SegmentSink, folder: Path) -> None:
    opened.append(b"a\n")
    _plain(folder, 0).unlink()
    with pytest.raises(SinkLost, match="was removed"):
        opened.append(b"b\n")
    _plain(folder, 0).write_bytes(b"a\n")  # not the file that was removed
    for _ in range(2):
        with pytest.raises(OSError, match="was removed"):
            opened.reopen()
        with pytest.raises(SinkLost):
            opened.append(b"b\n")
    assert _plain(folder, 0).read_bytes() == b"a\n"


def test_a_file_that_someone_else_wrote_to_takes_no_more_lines(opened: SegmentSink, folder: Path) -> None:
    opened.append(b"a\n")
    _plain(folder, 0).write_bytes(b"")
    attempts: list[Callable[[], object]] = [lambda: opened.append(b"b\n"), opened.rotate, opened.probe, opened.reopen]
    for attempt in attempts:
        with pytest.raises(SinkBroken, match="was changed"):
            attempt()
    assert _plain(folder, 0).read_bytes() == b""


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(NotADirectoryError):
        SegmentSink(file).open()
    with pytest.raises(FileNotFoundError):
        SegmentSink(tmp_path / "none" / "journal").open()
    folder = tmp_path / "journal"
    folder.mkdir()
    _plain(folder, 0).symlink_to("/dev/full")
    with pytest.raises(OSError, match="symbolic links"):
        SegmentSink(folder).open()


_UNPRIVILEGED = """
import os, tempfile
from pathlib import Path
from pgjit.audit.results import result_files
from pgjit.audit.segments import list_segments
from pgjit.audit.sinks import SegmentSink, open_segment

if os.geteuid() == 0:
    os.setuid(65534)
with tempfile.TemporaryDirectory() as root:
    folder = Path(root) / "journal"
    sink = SegmentSink(folder)
    sink.open()
    sink.append(b"a\\n")
    for mode in (0o500, 0o000):
        folder.chmod(mode)
        for attempt in (lambda: sink.append(b"b\\n"), sink.rotate, sink.probe):
            try:
                attempt()
            except PermissionError as error:
                print("refused")
        folder.chmod(0o700)
        sink.append(b"c\\n")
    sink.rotate()
    sink.flush()
    print(sink.lines, [list(each.lines()) for each in list_segments(folder)])
    sink.close()
"""


@pytest.mark.live
def test_without_permission_nothing_is_taken_until_it_is_back() -> None:
    done = finish(sys.executable, "-c", _UNPRIVILEGED, seconds=60)
    assert done.status == 0, done.err
    assert done.out.splitlines() == ["refused"] * 6 + ["3 [[b'a', b'c', b'c'], []]"]


def test_results_are_flushed_before_the_lines_that_refer_to_them(
    opened: SegmentSink, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []

    def note(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)

    monkeypatch.setattr(result_files, "sync", note)
    monkeypatch.setattr(open_segment, "_sync", note)
    opened.append(b"a\n")
    first = opened.results.keep(b"{}\n")
    opened.append(b"b\n")
    opened.rotate()
    opened.append(b"c\n")
    second = opened.results.keep(b"{}\n")
    opened.flush()
    opened.flush()
    plain = [_plain(folder, each).name for each in (0, 2)]
    assert (first.file, second.file) == (f"{1:020}.results", f"{3:020}.results")
    assert synced == [first.file, second.file, *plain, plain[1]]
