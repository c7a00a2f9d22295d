"""A copy counts when it was read back and is the same; what counts is known after a restart."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from pgjit.audit.keeping.archive import Archive, archive_fault, make_folder
from pgjit.audit.segments import Segment, list_segments, segment_name


@pytest.fixture
def segment(tmp_path: Path) -> Segment:
    folder = tmp_path / "journal"
    folder.mkdir()
    for first, content in ((0, b"a\nb\n"), (2, b"c\n")):
        (folder / f"{segment_name(first)}.jsonl").write_bytes(content)
    (folder / "origin").write_text("node/0/abc\n")
    return list_segments(folder)[0]


def _archive(segment: Segment, url: str, origin: str = "node/0/abc") -> Archive:
    return Archive(url, segment.path.parent, lambda: origin)


@pytest.mark.parametrize("scheme", ["memory", "file"])
def test_a_copy_is_known_after_a_restart(segment: Segment, tmp_path: Path, scheme: str) -> None:
    url = f"memory://{tmp_path.name}" if scheme == "memory" else (tmp_path / "archive").as_uri()
    archive = _archive(segment, url)
    assert archive.place_of(segment) is None
    archive.copy(segment)
    place = f"{url}/node/0/abc/{segment.name}"
    assert _archive(segment, url).place_of(segment) == archive.place_of(segment) == place
    assert _archive(segment, url, "node/0/new").place_of(segment) is None
    with fsspec.open(place, "rb") as copy:
        assert copy.read() == b"a\nb\n"
    with (segment.path.parent / "archived").open("ab") as state:
        state.write(b'{"segment":"half')
    again = _archive(segment, url)
    again.copy(segment)
    assert _archive(segment, url).place_of(segment) == place


def test_kept_results_are_copied_with_their_segment(segment: Segment, tmp_path: Path) -> None:
    folder = segment.path.parent
    for first in (0, 1, 2):
        (folder / f"{segment_name(first)}.results").write_bytes(b"rows\n")
    _archive(segment, (tmp_path / "archive").as_uri()).copy(segment)
    copied = sorted(path.name for path in (tmp_path / "archive/node/0/abc").glob("*.results"))
    assert copied == [f"{segment_name(0)}.results", f"{segment_name(1)}.results"]


def test_a_copy_that_is_not_the_same_does_not_count(
    segment: Segment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = _archive(segment, (tmp_path / "archive").as_uri())
    put = archive._put

    def damage(path: Path) -> None:
        put(path)
        copy = tmp_path / "archive" / "node/0/abc" / path.name
        copy.write_bytes(copy.read_bytes().replace(b"a", b"x"))

    monkeypatch.setattr(archive, "_put", damage)
    with pytest.raises(OSError, match="is not the same"):
        archive.copy(segment)
    assert archive.place_of(segment) is None
    assert not (segment.path.parent / "archived").exists()


def test_a_place_that_cannot_be_written_to_is_known_before_the_start() -> None:
    assert archive_fault("file:///var/backup") is None
    assert "no-such" in (archive_fault("no-such://bucket") or "")
    assert "s3fs" in (archive_fault("s3://bucket") or "")


def test_no_folder_is_made_in_an_object_store_where_it_would_be_a_bucket() -> None:
    made: list[str] = []

    class Store:
        def __init__(self, *protocol: str) -> None:
            self.protocol = protocol

        def makedirs(self, folder: str, *, exist_ok: bool) -> None:
            assert exist_ok
            made.append(folder)

    for protocol in (("s3", "s3a"), ("gs", "gcs"), ("abfs",), ("sftp", "ssh"), ("file", "local")):
        make_folder(Store(*protocol), protocol[0])
    assert made == ["sftp", "file"]
