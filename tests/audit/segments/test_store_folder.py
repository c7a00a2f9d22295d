"""Segments in an object store are read as those of a folder are."""

from __future__ import annotations

import pickle
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from pgjit.audit.segments import Segment, SegmentDamaged, list_segments
from pgjit.audit.segments.journal_place import content_at, journals_at, place_of, segments_at, with_archive
from pgjit.audit.segments.store_folder import StoreFolder
from tests.audit.proof.journals import ORIGIN, make_journal
from tests.audit.reading.conftest import compress


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A store with the copies of one journal, below its origin."""
    make_journal(tmp_path / "journal")
    compress(list_segments(tmp_path / "journal")[0].path)
    url = f"memory://{tmp_path.name}"
    store, root = fsspec.core.url_to_fs(url)
    for path in (tmp_path / "journal").iterdir():
        store.pipe_file(f"{root}/{ORIGIN}/{path.name}", path.read_bytes())
    return url


def test_its_segments_have_the_lines_of_those_that_were_copied(tmp_path: Path, url: str) -> None:
    [place] = journals_at(place_of(url))
    assert (str(place), place.name) == (f"{url}/{ORIGIN}", ORIGIN.rpartition("/")[2])
    here, there = list_segments(tmp_path / "journal"), segments_at(place)
    assert [(each.first, each.name, each.size) for each in there] == [
        (each.first, each.name, each.size) for each in here
    ]
    assert [list(each.lines()) for each in there] == [list(each.lines()) for each in here]
    assert not any(each.open for each in there)
    assert content_at(place, "origin") == f"{ORIGIN}\n".encode()
    assert content_at(place, "none") is None
    with there[0].at_hand() as path:
        assert (path.name, path.read_bytes()) == (here[0].name, here[0].path.read_bytes())
    assert not path.exists()
    assert segments_at(pickle.loads(pickle.dumps(place))) == there == pickle.loads(pickle.dumps(there))


def test_an_object_that_was_replaced_has_another_version(url: str) -> None:
    place = StoreFolder(f"{url}/{ORIGIN}")
    before: Segment = place.segments()[1]
    store, root = fsspec.core.url_to_fs(url)
    content = store.cat_file(f"{root}/{ORIGIN}/{before.name}")
    store.pipe_file(f"{root}/{ORIGIN}/{before.name}", content[:-5])
    after = place.segments()[1]
    assert before.version != after.version
    with pytest.raises(SegmentDamaged):
        list(after.lines())


def test_what_a_store_raises_names_its_url(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("Access Denied\nand more")

    place = StoreFolder("memory://refusing")
    assert (place.segments(), place.journals(), place.read("origin")) == ((), [], None)
    for name in ("ls", "cat_file", "open", "find"):
        monkeypatch.setattr(MemoryFileSystem, name, refuse)
    for call in (place.segments, place.journals, lambda: place.read("x"), lambda: place.open("x")):
        with pytest.raises(OSError, match="Access Denied") as refused:
            call()
        assert (refused.value.filename, refused.value.strerror) == ("memory://refusing", "Access Denied")
    with pytest.raises(OSError, match="no-such"):
        StoreFolder("no-such://x").segments()


def test_a_store_is_looked_into_where_the_folder_does_not_have_all(tmp_path: Path, url: str) -> None:
    folder = tmp_path / "journal"
    assert with_archive(folder, None, tmp_path) == [folder]
    assert with_archive(folder, url, tmp_path) == [folder]
    list_segments(folder)[0].path.unlink()
    assert with_archive(folder, url, tmp_path) == [folder, StoreFolder(f"{url}/{ORIGIN}")]
    assert with_archive(tmp_path / "none", url, tmp_path) == [tmp_path / "none", StoreFolder(url)]
    assert with_archive(folder, "memory://nothing", tmp_path) == [folder]
    missing: list[str] = []
    assert with_archive(folder, "no-such://x", tmp_path, missing) == [folder]
    assert missing[0].startswith(f"the archive no-such://x/{ORIGIN} cannot be read: ")
    with pytest.raises(OSError, match="no-such"):
        with_archive(folder, "no-such://x", tmp_path)
    assert with_archive(folder, "copies", tmp_path) == [folder]
    make_journal(tmp_path / "copies" / ORIGIN)
    for name in ("copies", (tmp_path / "copies").as_uri()):
        assert with_archive(folder, name, tmp_path) == [folder, tmp_path / "copies"]
