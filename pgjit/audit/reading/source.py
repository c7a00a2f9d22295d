"""Where journals are: folders with segments, also several below one folder, and copies in archives and object stores.

Decides the name of a journal (its origin; without one, its folder), and that a segment that is in the journal and in
an archive is read once. A folder without an origin beside one journal is a copy of it, as for `pgjit audit verify`:
so no record is read that is not verified. Files that are no segments are ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pgjit.audit.reading.faults import JournalUnreadable, NoJournal
from pgjit.audit.segments import Segment
from pgjit.audit.segments.journal_place import JournalPlace, journals_at, origin_at, segments_at

__all__ = ["JournalSource", "find_journals", "followed"]

_LONGEST_ORIGIN: Final = 512


@dataclass(frozen=True, slots=True)
class JournalSource:
    """The segments of one writer. `name`: what the column `journal` has. `place`: the first where it was found."""

    name: str
    place: JournalPlace
    segments: tuple[Segment, ...]


def find_journals(places: Sequence[JournalPlace]) -> list[JournalSource]:
    """The journals in the places, or below them. Raises NoJournal and JournalUnreadable."""
    found = [(_origin(place), place, segments) for each in places for place, segments in _below(each)]
    origins = {origin for origin, _, _ in found if origin}
    only = next(iter(origins)) if len(origins) == 1 else None
    by_name: dict[str, dict[int, Segment]] = {}
    first: dict[str, JournalPlace] = {}
    for origin, place, segments in sorted(found, key=lambda each: not each[0]):  # copies after the journals
        name = origin or only or place.name
        first.setdefault(name, place)
        known = by_name.setdefault(name, {})
        for segment in segments:
            known.setdefault(segment.first, segment)
    return [
        JournalSource(name, first[name], tuple(segment for _, segment in sorted(segments.items())))
        for name, segments in sorted(by_name.items())
    ]


def followed(journals: Sequence[JournalSource]) -> list[Path]:
    """Their folders on this machine: what is in an object store is not written any more."""
    return [journal.place for journal in journals if isinstance(journal.place, Path)]


def _below(place: JournalPlace) -> list[tuple[JournalPlace, tuple[Segment, ...]]]:
    try:
        found = [(each, segments) for each in journals_at(place) if (segments := segments_at(each))]
    except FileNotFoundError:
        raise NoJournal(place, "There is no such folder.") from None
    except NotADirectoryError:
        raise NoJournal(place, "It is a file: a journal is a folder.") from None
    except OSError as fault:
        raise JournalUnreadable(str(fault.filename or place), f"{fault.strerror}.") from None
    if not found:
        raise NoJournal(place, "It has no segment (`00000000000000000000.jsonl`), nor has a folder in it.")
    return found


def _origin(place: JournalPlace) -> str:
    """Empty if the place does not say it."""
    try:
        return (origin_at(place) or "")[:_LONGEST_ORIGIN]
    except OSError as fault:
        raise JournalUnreadable(f"{place}/origin", f"{fault.strerror}.") from None
