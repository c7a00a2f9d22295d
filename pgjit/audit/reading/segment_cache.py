"""The reader's cache: the pieces of each closed segment as Parquet files, made at the first reading.

Decides the name of an entry, so that a segment that changed in any way has another one, and which entries go: those
of segments that the journal no longer has, because what retention deletes must not live on in a cache. An
entry appears whole, by a rename. A broken one is made anew. The data path knows nothing of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pgjit.audit.reading.faults import AuditCacheUnusable
from pgjit.audit.reading.pieces import PIECES, Counts, literal, take_apart
from pgjit.audit.reading.source import JournalSource
from pgjit.audit.segments import Segment, SegmentDamaged

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["SegmentCache", "default_cache"]

_FORM: Final = 1  # of the entries; another form has other names
_DONE: Final = "counts.json"
_MAKING: Final = "making-"
_PARQUET: Final = b"PAR1"  # the first and the last bytes of such a file
_OLD: Final = 86_400.0  # seconds: what has the name of an unfinished entry was left behind


def default_cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "pgjit" / "audit"


class SegmentCache:
    def __init__(self, folder: Path) -> None:
        """Raises AuditCacheUnusable: others could read the data in it, or put their own there."""
        self.folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            state = folder.stat()
            writable = os.access(folder, os.W_OK | os.X_OK)
        except OSError as fault:
            raise AuditCacheUnusable(folder, f"{fault.strerror}.") from None
        if state.st_uid != os.geteuid() or state.st_mode & 0o077:
            raise AuditCacheUnusable(folder, "It belongs to another user, or others may read it.")
        if not writable:
            raise AuditCacheUnusable(folder, "It cannot be written.")

    def entry(self, journal: JournalSource, segment: Segment) -> Path:
        """The folder of the segment's entry, whether it exists or not. Raises OSError."""
        text = f"{segment.version}\n{journal.name}\n{_FORM}"
        return self._folder_of(journal) / f"{segment.first:020}-{hashlib.sha256(text.encode()).hexdigest()[:24]}"

    def counts(self, entry: Path) -> Counts | None:
        """What the entry holds; None if it is missing or broken."""
        try:
            kept = json.loads((entry / _DONE).read_bytes())
            whole = all(_is_whole(Path(_parquet(entry, piece)), kept["sizes"][piece]) for piece in PIECES)
            return Counts(*kept["counts"]) if whole else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def drop(self, entry: Path) -> None:
        """Remove an entry that turned out to be broken."""
        shutil.rmtree(entry, ignore_errors=True)

    def make(self, connection: DuckDBPyConnection, journal: JournalSource, segment: Segment, entry: Path) -> Counts:
        """Make the entry, in place of a broken one. Raises OSError and duckdb.Error."""
        entry.parent.mkdir(mode=0o700, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=_MAKING, dir=entry.parent))
        try:
            with segment.at_hand() as path:
                damage = _damage(Segment(segment.first, path, segment.compressed, False))
                counts = take_apart(connection, path, journal.name)._replace(damage=damage)
            sizes = {}
            for piece, query in PIECES.items():
                target = _parquet(made, piece)
                connection.execute(f"COPY ({query}) TO {literal(target)} (FORMAT parquet, COMPRESSION zstd)")
                sizes[piece] = Path(target).stat().st_size
            (made / _DONE).write_text(json.dumps({"counts": counts, "sizes": sizes}))
            if entry.exists():
                shutil.rmtree(entry)
            made.rename(entry)
        finally:
            shutil.rmtree(made, ignore_errors=True)
        return counts

    def drop_others(self, journal: JournalSource, entries: Collection[Path]) -> None:
        """Remove the entries of segments that the journal no longer has."""
        folder = self._folder_of(journal)
        if folder.is_dir():
            for path in folder.iterdir():
                if path not in entries and (not path.name.startswith(_MAKING) or _is_old(path)):
                    shutil.rmtree(path, ignore_errors=True)

    def _folder_of(self, journal: JournalSource) -> Path:
        place = journal.place.resolve() if isinstance(journal.place, Path) else journal.place
        text = f"{journal.name}\n{place}"
        return self.folder / hashlib.sha256(text.encode()).hexdigest()[:24]


def _parquet(entry: Path, piece: str) -> str:
    return str(entry / f"{piece}.parquet")


def _damage(segment: Segment) -> str | None:
    """What is wrong with a compressed segment: DuckDB reads a stream that is cut off without a word."""
    if segment.compressed:
        try:
            for _ in segment.line_blocks():
                continue
        except SegmentDamaged as damage:
            return str(damage)
    return None


def _is_whole(path: Path, size: int) -> bool:
    with path.open("rb") as file:
        begin = file.read(4)
        end = file.seek(-4, os.SEEK_END) + 4
        return (begin, file.read(4), end) == (_PARQUET, _PARQUET, size)


def _is_old(path: Path) -> bool:
    try:
        return path.stat().st_mtime < time.time() - _OLD
    except OSError:
        return False
