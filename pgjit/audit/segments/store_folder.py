"""Copies of segments in an object store, read over the network: what fsspec can open.

Decides how the objects of one journal are found below a URL. Each object is read when it is needed, as a stream; what
the store's library raises becomes an OSError that names the URL.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from pgjit.audit.segments.segment import Segment, named_segments

__all__ = ["StoreFolder", "StoredSegment", "store_fault"]

T = TypeVar("T")
_MOST_LEVELS = 5  # of folders below the URL of an archive; an origin has three


@dataclass(frozen=True)
class StoreFolder:
    """One folder of a store. Only its URL is kept, so that another process can open it too."""

    url: str

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        """The last part of its URL."""
        return self.url.rstrip("/").rpartition("/")[2]

    def segments(self) -> tuple[Segment, ...]:
        """As `list_segments`; none is open. Raises OSError."""
        store, root = self._opened()
        files = {each["name"].rpartition("/")[2]: each for each in self._call(lambda: _listed(store, root))}
        return tuple(
            StoredSegment(
                segment.first, segment.path, segment.compressed, False,
                folder=self, stored=int(files[segment.name].get("size") or 0), stamp=_stamp(files[segment.name]),
            )
            for segment in named_segments(map(Path, files))
        )  # fmt: skip

    def read(self, name: str) -> bytes | None:
        """The content of a small file; None if it is missing. Raises OSError."""
        store, root = self._opened()
        try:
            return cast(bytes, self._call(lambda: store.cat_file(f"{root}/{name}")))
        except FileNotFoundError:
            return None

    def open(self, name: str) -> BinaryIO:
        """Raises OSError; so does reading from it."""
        store, root = self._opened()
        return cast(BinaryIO, self._call(lambda: store.open(f"{root}/{name}", "rb")))

    def journals(self) -> list[StoreFolder]:
        """The folders below it, or itself, that have a file `origin`. Raises OSError."""
        store, root = self._opened()
        found = self._call(lambda: store.find(root, maxdepth=_MOST_LEVELS))
        below = sorted(path[len(root) :].strip("/").rpartition("/")[0] for path in found if path.endswith("/origin"))
        return [StoreFolder("/".join([self.url.rstrip("/"), *([each] if each else [])])) for each in below]

    def _opened(self) -> tuple[Any, str]:
        import fsspec  # here: it takes long to import, and many have no archive

        store, root = self._call(lambda: fsspec.core.url_to_fs(self.url))
        return store, str(root).rstrip("/")

    def _call(self, run: Callable[[], T]) -> T:
        try:
            return run()
        except OSError as error:
            if error.filename:
                raise
            raise type(error)(error.errno or 5, error.strerror or str(error), self.url) from None
        except Exception as error:  # noqa: BLE001 - each store's library has errors of its own
            raise OSError(5, store_fault(error), self.url) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSegment(Segment):
    """A closed segment in a store. `path` is its name alone."""

    folder: StoreFolder
    stored: int  # bytes
    stamp: str  # changes when the object is replaced

    @property
    def size(self) -> int:
        return self.stored

    @property
    def version(self) -> str:
        return f"{self.folder.url}/{self.name}\n{self.stored}\n{self.stamp}"

    @contextmanager
    def at_hand(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="pgjit-segment-") as folder:
            path = Path(folder) / self.name
            with self.folder.open(self.name) as source, path.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
            yield path

    def opened(self) -> tuple[BinaryIO, bool]:
        return self.folder.open(self.name), self.compressed


def store_fault(error: Exception) -> str:
    """The first line of what a store's library raised; without a text, the name of its class."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _listed(store: Any, root: str) -> list[dict[str, Any]]:
    store.invalidate_cache(root)
    try:
        return [each for each in store.ls(root, detail=True) if each.get("type") == "file"]
    except FileNotFoundError:
        return []


def _stamp(file: dict[str, Any]) -> str:
    """What stores say about the content of an object, each in its own words."""
    known = ("ETag", "etag", "md5Hash", "content_settings", "LastModified", "last_modified", "mtime", "created")
    return str(next((file[name] for name in known if file.get(name)), ""))
