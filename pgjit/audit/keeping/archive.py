"""Copies of closed segments in a directory or an object store, by fsspec.

Decides when a copy counts: it was read back, and has the size and the SHA-256 of the segment. A line in the file
`archived` says so from then on, also after a restart; without it the segment is copied again, which changes nothing.
The copies of a journal are below its origin, so that several journals can share one place.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from pgjit.audit.results.result_files import results_between
from pgjit.audit.segments import Segment, list_segments, segment_name

__all__ = ["Archive", "archive_fault", "make_folder"]

_BLOCK = 1 << 20
_STATE = "archived"
_OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oci", "ocilake", "oss", "r2", "tos"})
_BESIDE = (".leaves", ".subtrees")
_OF_JOURNAL = ("origin", "checkpoint", "checkpoints.jsonl")


def archive_fault(url: str) -> str | None:
    """Why this URL cannot be written to, as far as it can be seen without a connection."""
    import fsspec  # here: it takes long to import, and many have no archive

    protocol = fsspec.utils.get_protocol(url)
    try:
        fsspec.get_filesystem_class(protocol)
    except (ImportError, ValueError) as fault:
        return str(fault)
    return None


class Archive:
    """Each method blocks, and raises what the store's own library raises."""

    def __init__(self, url: str, folder: Path, origin: Callable[[], str]) -> None:
        """`origin`: of the journal. It changes when the journal begins anew."""
        self._url = url
        self._folder = folder
        self._origin = origin
        self._done = dict(self._read_state())
        self._store: tuple[Any, str] | None = None

    def is_ready(self, segment: Segment) -> bool:
        """Whether what proves it is there, so that its copy can be checked by itself."""
        return (self._folder / f"{segment_name(segment.first)}.subtrees").exists()

    def place_of(self, segment: Segment) -> str | None:
        """Where the verified copy of a segment is; None if there is none."""
        return self._done.get(f"{self._origin()}/{segment_name(segment.first)}")

    def copy(self, segment: Segment) -> None:
        """Copy a closed segment with what is kept beside it, and read it back."""
        size, digest = self._compared(segment.path)
        for path in self._results(segment):
            self._compared(path)
        name = segment_name(segment.first)
        beside = [self._folder / each for each in (*(name + ending for ending in _BESIDE), *_OF_JOURNAL)]
        for path in beside:
            if path.exists():
                self._put(path)
        place = f"{self._url.rstrip('/')}/{self._origin()}/{segment.path.name}"
        self._note({"segment": f"{self._origin()}/{name}", "place": place, "size": size, "sha256": digest})
        self._done[f"{self._origin()}/{name}"] = place

    def _compared(self, path: Path) -> tuple[int, str]:
        """Copy a file and read the copy back: its size and its digest. Raises OSError if it is not the same."""
        written = _digest(path.open("rb"))
        self._put(path)
        if self._read_back(path.name) != written:
            raise OSError(f"the copy of {path.name} in {self._url} is not the same")
        return written

    def _results(self, segment: Segment) -> list[Path]:
        """The files with results of its executions."""
        after = [each.first for each in list_segments(self._folder) if each.first > segment.first]
        return results_between(self._folder, segment.first, min(after)) if after else []

    def _put(self, path: Path) -> None:
        store, root = self._opened()
        target = f"{root}/{self._origin()}/{path.name}"
        make_folder(store, target.rpartition("/")[0])
        if "file" in _protocols(store):
            # A directory shows a file before it is whole; an object store does not.
            store.put_file(str(path), f"{target}.part")
            Path(f"{target}.part").replace(target)
        else:
            store.put_file(str(path), target)

    def _read_back(self, name: str) -> tuple[int, str]:
        store, root = self._opened()
        return _digest(store.open(f"{root}/{self._origin()}/{name}", "rb"))

    def _opened(self) -> tuple[Any, str]:
        if self._store is None:
            import fsspec

            store, root = fsspec.core.url_to_fs(self._url)
            self._store = store, str(root).rstrip("/")
        return self._store

    def _read_state(self) -> Iterator[tuple[str, str]]:
        try:
            lines = (self._folder / _STATE).read_bytes().splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            try:
                row = orjson.loads(line)
                yield row["segment"], row["place"]
            except (ValueError, KeyError, TypeError):
                continue  # half a line, left by a crash: the segment is copied again

    def _note(self, row: dict[str, object]) -> None:
        descriptor = os.open(self._folder / _STATE, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, b"\n" + orjson.dumps(row) + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def make_folder(store: Any, folder: str) -> None:
    """Make the folder and those above it, where the store has folders. Raises what the store's library raises.

    In an object store that would make a bucket: one whose name is misspelt must not be made.
    """
    if not _OBJECT_STORES.intersection(_protocols(store)):
        store.makedirs(folder, exist_ok=True)


def _protocols(store: Any) -> tuple[str, ...]:
    return store.protocol if isinstance(store.protocol, tuple) else (store.protocol,)


def _digest(file: BinaryIO) -> tuple[int, str]:
    size, digest = 0, hashlib.sha256()
    with file:
        while block := file.read(_BLOCK):
            size += len(block)
            digest.update(block)
    return size, digest.hexdigest()
