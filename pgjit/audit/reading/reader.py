"""Opens journals for reading: the cache made, the views created, the engine locked.

Decides in which order, and what DuckDB may do afterwards: read its sources, and nothing else of this machine; its
settings cannot be changed any more, and its memory is bounded. A broken entry of the cache is made anew.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pgjit.audit.reading.faults import JournalUnreadable, NoJournal, ResultTooLarge
from pgjit.audit.reading.pieces import PIECES, Counts, create_pieces, literal, take_apart
from pgjit.audit.reading.segment_cache import SegmentCache
from pgjit.audit.reading.source import JournalSource, find_journals
from pgjit.audit.reading.views import create_views
from pgjit.audit.segments import Segment
from pgjit.audit.segments.journal_place import JournalPlace
from pgjit.audit.segments.store_folder import StoredSegment

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["Reader", "Rows", "opened_reader"]

_MEMORY: Final = "1GB"
_AT_ONCE: Final = 64  # rows
_ON_DISK: Final = "20GB"

Progress = Callable[[int, int], None]
"""Called with the bytes of segments that are in the cache, and the bytes of all."""


class Rows(NamedTuple):
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    more: bool
    """Whether there are more than were fetched."""
    json_columns: frozenset[str] = frozenset()
    """Those whose values are texts with JSON in them."""

    def as_dicts(self) -> list[dict[str, object]]:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(slots=True)
class Reader:
    """Journals that are open for queries. `notices`: why answers may lack something; empty if they lack nothing."""

    connection: DuckDBPyConnection
    journals: list[JournalSource]
    notices: list[str] = field(default_factory=list)

    def query(
        self,
        sql: str,
        parameters: Mapping[str, object] | None = None,
        *,
        most: int | None = None,
        most_bytes: int | None = None,
    ) -> Rows:
        """Run a query of our own. Raises duckdb.Error, and ResultTooLarge beyond about `most_bytes`."""
        result = self.connection.execute(sql, dict(parameters or {}))
        columns = tuple(column[0] for column in result.description)
        rows = _fetched(result, most, most_bytes)
        more = most is not None and len(rows) > most
        json_columns = frozenset(column[0] for column in result.description if str(column[1]) == "JSON")
        return Rows(columns, rows[:most] if more else rows, more, json_columns)


def _fetched(result: DuckDBPyConnection, most: int | None, most_bytes: int | None) -> list[tuple[Any, ...]]:
    """One row more than `most`, if there are so many."""
    if most_bytes is None:
        return result.fetchall() if most is None else result.fetchmany(most + 1)
    rows: list[tuple[Any, ...]] = []
    size = 0
    while (left := _AT_ONCE if most is None else most + 1 - len(rows)) > 0:
        if not (some := result.fetchmany(min(left, _AT_ONCE))):
            break
        rows += some
        size += sum(len(str(value)) for row in some for value in row)
        if size > most_bytes:
            raise ResultTooLarge(most_bytes)
    return rows


@contextmanager
def opened_reader(
    places: Sequence[JournalPlace], cache: SegmentCache, progress: Progress | None = None
) -> Iterator[Reader]:
    """Raises AuditFault, OSError and duckdb.Error."""
    import duckdb

    journals = find_journals(places)
    spilled = Path(tempfile.mkdtemp(prefix="pgjit-audit-"))
    connection = duckdb.connect(
        config={
            "threads": os.cpu_count() or 1,
            "memory_limit": _MEMORY,
            "temp_directory": str(spilled),
            "max_temp_directory_size": _ON_DISK,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "python_enable_replacements": False,
        }
    )
    try:
        reader = Reader(connection, journals)
        _Opening(reader, cache, progress).run()
        yield reader
    finally:
        connection.close()
        shutil.rmtree(spilled, ignore_errors=True)


class _Opening:
    def __init__(self, reader: Reader, cache: SegmentCache, progress: Progress | None) -> None:
        self._reader = reader
        self._connection = reader.connection
        self._cache = cache
        self._progress = progress or (lambda _done, _all: None)
        self._files: dict[str, list[str]] = {piece: [] for piece in PIECES}
        self._unknown = 0

    def run(self) -> None:
        self._connection.execute("CREATE SCHEMA pieces")
        create_pieces(self._connection, "pieces")
        entries = self._make_entries()
        for journal in self._reader.journals:
            self._add(journal, entries)
            kept = {entries[segment] for segment in journal.segments if segment in entries}
            self._cache.drop_others(journal, kept)
        if self._unknown:
            self._note(f"{self._unknown} records have another version than 1: they are only in the view `records`")
        create_views(self._connection, self._files)
        _lock(self._connection, [path for paths in self._files.values() for path in paths])

    def _make_entries(self) -> dict[Segment, Path]:
        """The entry of each closed segment; those that are missing are made, with progress."""
        entries = {
            segment: self._cache.entry(journal, segment)
            for journal in self._reader.journals
            for segment in journal.segments
            if not segment.open and _exists(segment)
        }
        missing = [
            (journal, segment)
            for journal in self._reader.journals
            for segment in journal.segments
            if segment in entries and self._cache.counts(entries[segment]) is None
        ]
        sizes = [segment.size for _, segment in missing]
        done = 0
        for (journal, segment), size in zip(missing, sizes, strict=True):
            self._progress(done, sum(sizes))
            self._make(journal, segment, entries)
            done += size
        if missing:
            self._progress(done, sum(sizes))
        return entries

    def _make(self, journal: JournalSource, segment: Segment, entries: dict[Segment, Path]) -> None:
        import duckdb

        try:
            self._cache.make(self._connection, journal, segment, entries[segment])
        except duckdb.Error as fault:
            del entries[segment]
            self._note(f"segment `{segment.name}` cannot be read: {_first_line(fault)}")
        except OSError as fault:
            if isinstance(segment, StoredSegment):
                del entries[segment]
                self._note(f"segment `{segment.name}` cannot be read: {fault.strerror}")
            elif isinstance(fault, PermissionError):
                raise JournalUnreadable(segment.path, f"{fault.strerror}.") from None
            else:
                raise

    def _add(self, journal: JournalSource, entries: Mapping[Segment, Path]) -> None:
        expected: int | None = None
        for segment in journal.segments:
            if expected is not None and expected != segment.first:
                self._note(f"lines {expected} to {segment.first - 1} are missing before segment `{segment.name}`")
            expected = None
            if (counts := self._counts(journal, segment, entries)) is None:
                continue
            self._unknown += counts.unknown
            if counts.damage is not None:
                self._note(f"segment is damaged: {counts.damage}")
            if counts.other and not segment.open:
                self._note(f"{counts.other} lines of segment `{segment.name}` are no records")
            elif counts.other > 1:  # one may be in the course of being written
                self._note(f"{counts.other - 1} lines of segment `{segment.name}` are no records")
            if not segment.open and counts.damage is None:
                expected = segment.first + counts.records + counts.other

    def _counts(self, journal: JournalSource, segment: Segment, entries: Mapping[Segment, Path]) -> Counts | None:
        if (entry := entries.get(segment)) is not None:
            for piece, paths in self._files.items():
                paths.append(str(entry / f"{piece}.parquet"))
            return self._cache.counts(entry)
        return self._read_open(journal, segment) if segment.open else None

    def _read_open(self, journal: JournalSource, segment: Segment) -> Counts | None:
        import duckdb

        try:
            counts = take_apart(self._connection, segment.path, journal.name)
            for piece, query in PIECES.items():
                self._connection.execute(f"INSERT INTO pieces.{piece} BY NAME {query}")
        except duckdb.Error as fault:
            if not os.access(segment.path, os.R_OK):
                raise JournalUnreadable(segment.path, "Permission denied.") from None
            self._note(f"segment `{segment.name}` cannot be read: {_first_line(fault)}")
            return None
        return counts

    def _note(self, text: str) -> None:
        self._reader.notices.append(text)


def _lock(connection: DuckDBPyConnection, paths: Sequence[str]) -> None:
    """From now on only the cache's own files can be read, and no setting can be changed."""
    connection.execute("DROP TABLE IF EXISTS staged")
    connection.execute("SET TimeZone = 'UTC'")  # as the times of the views: `current_date` is a day of theirs
    connection.execute(f"SET allowed_paths = [{', '.join(map(literal, paths))}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _exists(segment: Segment) -> bool:
    """False if it was compressed or removed after the folder was listed."""
    try:
        return segment.size >= 0
    except FileNotFoundError:
        raise NoJournal(segment.path.parent, "It changed while it was listed: run the command again.") from None


def _first_line(fault: Exception) -> str:
    return str(fault).partition("\n")[0]
