"""Where a journal, or copies of its segments, can be read: a folder of this machine, or one of an object store.

Decides which texts are URLs, and that a place with several journals stands for all of them.
"""

from __future__ import annotations

from pathlib import Path

from pgjit.audit.segments.segment import Segment, list_segments
from pgjit.audit.segments.store_folder import StoreFolder

__all__ = ["JournalPlace", "content_at", "journals_at", "origin_at", "place_of", "segments_at", "with_archive"]

JournalPlace = Path | StoreFolder
_MOST_LEVELS = 4  # an archive has journals below their origins, which have slashes
_LOCAL = ("file", "local")


def place_of(text: str, beside: Path | None = None) -> JournalPlace:
    """From a folder, or a URL as fsspec knows it. `beside`: the folder from which relative ones count."""
    scheme, separator, rest = text.partition("://")
    if separator and scheme not in _LOCAL:
        return StoreFolder(text)
    path = Path(rest if separator else text).expanduser()
    return path if beside is None else beside / path


def segments_at(place: JournalPlace) -> tuple[Segment, ...]:
    """Raises OSError."""
    return place.segments() if isinstance(place, StoreFolder) else list_segments(place)


def content_at(place: JournalPlace, name: str) -> bytes | None:
    """The content of a file beside the segments; None if it is missing. Raises OSError."""
    if isinstance(place, StoreFolder):
        return place.read(name)
    try:
        return (place / name).read_bytes()
    except FileNotFoundError:
        return None


def origin_at(place: JournalPlace) -> str | None:
    """The origin of the journal in a place; None if it has no file `origin`. Raises OSError."""
    content = content_at(place, "origin")
    return None if content is None else content.decode(errors="replace").strip()


def journals_at(place: JournalPlace) -> list[JournalPlace]:
    """The place itself if it has segments, and the journals below it. Raises OSError.

    A folder that has segments was of one process before it was of several workers: theirs are directly below.
    """
    if segments_at(place):
        workers = sorted(path.parent for path in place.glob("*/origin")) if isinstance(place, Path) else []
        return [place, *workers]
    if isinstance(place, StoreFolder):
        return [*place.journals()]
    depths = range(1, _MOST_LEVELS + 1)
    below = {path.parent for depth in depths for path in place.glob("*/" * depth + "origin")}
    below |= {path for path in place.iterdir() if path.is_dir() and list_segments(path)}
    return [*sorted(below)]


def with_archive(
    folder: Path, archive: str | None, beside: Path, missing: list[str] | None = None
) -> list[JournalPlace]:
    """The journal's folder and its archive, where that can have what the folder has not.

    An archive on this machine is always looked into if it exists. One in an object store is looked into where the
    folder does not have the journal's first line any more. `missing` gets a sentence if it cannot be reached; without
    it that raises OSError.
    """
    if archive is None:
        return [folder]
    place = place_of(archive, beside)
    if isinstance(place, Path):
        return [folder, place] if place.is_dir() and journals_at(place) else [folder]
    kept = list_segments(folder) if folder.is_dir() else ()
    if kept and kept[0].first == 0:
        return [folder]
    origin = origin_at(folder)
    store = StoreFolder(f"{place.url.rstrip('/')}/{origin}") if origin else place
    try:
        return [folder, store] if journals_at(store) else [folder]
    except OSError as error:
        if missing is None:
            raise
        missing.append(f"the archive {store} cannot be read: {error.strerror}")
        return [folder]
