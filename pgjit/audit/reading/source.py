"""Where journals are: folders with segments, also several below one folder, and copies in archives.

Decides the name of a journal (its origin; without one, its folder), and that a segment that is in the journal and in
an archive is read once. Files that are no segments are ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pgjit.audit.reading.faults import JournalUnreadable, NoJournal
from pgjit.audit.segments import Segment, list_segments

__all__ = ["JournalSource", "find_journals"]

_LONGEST_ORIGIN: Final = 512


@dataclass(frozen=True, slots=True)
class JournalSource:
    """The segments of one writer. `name`: what the column `journal` has. `folder`: the first where it was found."""

    name: str
    folder: Path
    segments: tuple[Segment, ...]


def find_journals(folders: Sequence[Path]) -> list[JournalSource]:
    """The journals in the folders, or in folders directly below them. Raises NoJournal and JournalUnreadable."""
    by_name: dict[str, dict[int, Segment]] = {}
    first: dict[str, Path] = {}
    for folder in folders:
        for place, segments in _below(folder):
            name = _name(place)
            first.setdefault(name, place)
            known = by_name.setdefault(name, {})
            for segment in segments:
                known.setdefault(segment.first, segment)
    return [
        JournalSource(name, first[name], tuple(segment for _, segment in sorted(segments.items())))
        for name, segments in sorted(by_name.items())
    ]


def _below(folder: Path) -> list[tuple[Path, tuple[Segment, ...]]]:
    try:
        if segments := list_segments(folder):
            return [(folder, segments)]
        places = [place for place in sorted(folder.iterdir()) if place.is_dir()]
        found = [(place, segments) for place in places if (segments := list_segments(place))]
    except FileNotFoundError:
        raise NoJournal(folder, "There is no such folder.") from None
    except NotADirectoryError:
        raise NoJournal(folder, "It is a file: a journal is a folder.") from None
    except OSError as fault:
        raise JournalUnreadable(Path(fault.filename or folder), f"{fault.strerror}.") from None
    if not found:
        raise NoJournal(folder, "The folder has no segment (`00000000000000000000.jsonl`), nor has a folder in it.")
    return found


def _name(folder: Path) -> str:
    try:
        with (folder / "origin").open("rb") as file:
            origin = file.read(_LONGEST_ORIGIN).decode("utf-8", "replace").strip()
    except FileNotFoundError:
        origin = ""
    except OSError as fault:
        raise JournalUnreadable(folder / "origin", f"{fault.strerror}.") from None
    return origin or folder.name
