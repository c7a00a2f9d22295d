"""Looks after closed segments and the disk beside a journal that is written.

Decides when each step is due and what a failure means: it is logged once, and tried again. Steps run in threads of
their own, so nothing waits for them; the archive has another thread than the rest, so a slow one holds up nothing.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from pgjit.audit.event import Event
from pgjit.audit.journal import Journal
from pgjit.audit.keeping.archive import Archive
from pgjit.audit.keeping.compression import compress, remove_parts
from pgjit.audit.keeping.disk_space import DiskSpace, free_bytes
from pgjit.audit.keeping.retention import Expired, Export, expired, held, remove
from pgjit.audit.keeping_event import SaltsDropped, SegmentDropped
from pgjit.audit.redaction.salts import SaltFiles
from pgjit.audit.segments import Segment, list_segments
from pgjit.errors import JournalUnavailable

__all__ = ["Keeping", "Upkeep"]

_log = logging.getLogger("pgjit.journal")
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 300.0  # seconds, between two tries of the archive


@dataclass(frozen=True, slots=True)
class Keeping:
    """What the configuration says about closed segments."""

    compress: bool = True
    keep: timedelta | None = None
    archive: str | None = None
    warn_bytes: int = 0
    salts: timedelta | None = None  # how long the salts of redacted values are kept; None: for ever
    wait_for_export: timedelta = timedelta(days=7)
    interval: float = 5.0


class Upkeep:
    """`start` begins it, `close` ends it: what is under way is finished, except a copy to the archive."""

    def __init__(
        self,
        journal: Journal,
        clock: Callable[[], datetime],
        keeping: Keeping,
        exported: Callable[[], int | None] | None = None,
    ) -> None:
        """`exported`: the index of the next line that a collector gets, None while it is not known."""
        self._journal = journal
        self._folder = Path(journal.name)
        self._clock = clock
        self._keeping = keeping
        self._exported = exported
        self.held = 0
        """How many segments are kept longer because the collector does not have their records."""
        self._space = DiskSpace(journal.name, keeping.warn_bytes)
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._failing: str | None = None
        self._archiver = None if keeping.archive is None else _Archiver(keeping, self._folder, lambda: journal.origin)
        journal.on_segment_closed.append(lambda _: self._wake.set())

    @property
    def space_low(self) -> bool:
        """Whether the alarm for the disk's space is on."""
        return self._space.low

    @property
    def waiting(self) -> int:
        """How many closed segments have no copy in the archive yet."""
        return 0 if self._archiver is None else self._archiver.waiting

    @property
    def archive_failing(self) -> bool:
        """Whether the last copy failed."""
        return self._archiver is not None and self._archiver.failing

    @property
    def archive_failures(self) -> int:
        """How many copies failed."""
        return 0 if self._archiver is None else self._archiver.failures

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self.start()
        try:
            yield
        finally:
            await self.close()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())
        if self._archiver is not None:
            self._archiver.start()

    async def close(self) -> None:
        if self._archiver is not None:
            self._archiver.stop()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def round(self) -> None:
        """All steps once."""
        now = self._clock()
        self._journal.rotate_if_due(now)
        try:
            self._note_space(await asyncio.to_thread(free_bytes, self._folder), now)
            if self._keeping.compress:
                await asyncio.shield(asyncio.to_thread(self._compress))
            if self._archiver is not None:
                self._archiver.wake.set()
            if self._keeping.salts is not None:
                await self._drop_salts((now - self._keeping.salts).date())
            if self._keeping.keep is not None:
                await self._drop(now - self._keeping.keep)
        except (OSError, ValueError, KeyError, JournalUnavailable) as error:
            if self._failing is None:
                _log.error("closed segments of journal %s cannot be looked after: %s", self._journal.name, error)
            self._failing = str(error)
        else:
            self._failing = None

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            await self.round()
            try:
                async with asyncio.timeout(self._keeping.interval):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _note_space(self, free: int, now: datetime) -> None:
        if (event := self._space.note(free, now)) is None:
            return
        try:
            self._journal.append([event])
        except JournalUnavailable:
            _log.error("the alarm for the space of journal %s could not be recorded", self._journal.name)

    def _compress(self) -> None:
        remove_parts(self._folder)
        for segment in list_segments(self._folder):
            if not segment.open and not segment.compressed:
                compress(segment)

    async def _drop_salts(self, first: date) -> None:
        salts = SaltFiles(self._folder)
        if days := await asyncio.to_thread(salts.days_before, first):
            self._journal.append([SaltsDropped(at=self._clock(), days=tuple(days))])
            await self._journal.flush()
            await asyncio.to_thread(salts.drop, days)

    async def _drop(self, cutoff: datetime) -> None:
        place_of = None if self._archiver is None else self._archiver.place_of
        export = self._export(cutoff)
        due = await asyncio.to_thread(lambda: list(expired(list_segments(self._folder), cutoff, place_of, export)))
        if due:
            await self._remove(due)
        if export is not None:
            await self._note_held(cutoff, export)

    def _export(self, cutoff: datetime) -> Export | None:
        """How far the export is, and how long it is waited for: not at all once the disk is nearly full."""
        if self._exported is None:
            return None
        longer = timedelta() if self._space.low else self._keeping.wait_for_export
        return Export(self._exported() or 0, cutoff - longer)

    async def _note_held(self, cutoff: datetime, export: Export) -> None:
        count = await asyncio.to_thread(lambda: held(list_segments(self._folder), cutoff, export))
        if count and not self.held:
            _log.warning(
                "%d old segments of journal %s are kept until the collector has their records, for %s at most",
                count, self._journal.name, self._keeping.wait_for_export,
            )  # fmt: skip
        self.held = count

    async def _remove(self, due: list[Expired]) -> None:
        if unsent := sum(each.unsent for each in due):
            _log.error("%d records are removed that the collector does not have", unsent)
        self._journal.append([_dropped(each, self._clock()) for each in due])
        await self._journal.flush()
        for each in due:
            await asyncio.to_thread(remove, each)


class _Archiver:
    """A thread that copies what has no copy. It ends with the process, whatever the store does meanwhile."""

    def __init__(self, keeping: Keeping, folder: Path, origin: Callable[[], str]) -> None:
        assert keeping.archive is not None
        self._archive = Archive(keeping.archive, folder, origin)
        self._compressed = keeping.compress
        self._folder = folder
        self._url = keeping.archive
        self._stopped = threading.Event()
        self.wake = threading.Event()
        self.waiting = 0
        self.failures = 0
        self.failing = False
        self._thread = threading.Thread(target=self._run, name="journal-archive", daemon=True)

    def place_of(self, segment: Segment) -> str | None:
        return self._archive.place_of(segment)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self.wake.set()

    def copy_all(self) -> None:
        """Copy each closed segment that has no copy. Raises what the store raises."""
        due = [
            segment
            for segment in list_segments(self._folder)
            if not segment.open
            and segment.compressed == self._compressed
            and self.place_of(segment) is None
            and self._archive.is_ready(segment)
        ]
        self.waiting = len(due)
        for segment in due:
            if self._stopped.is_set():
                return
            self._archive.copy(segment)
            self.waiting -= 1

    def _run(self) -> None:
        wait = _FIRST_WAIT
        while not self._stopped.is_set():
            self.wake.clear()
            try:
                self.copy_all()
            except Exception as error:  # noqa: BLE001  # each store's library has errors of its own
                self.failures += 1
                self.failing = True
                if wait in (_FIRST_WAIT, _LONGEST_WAIT):
                    _log.error("segments cannot be copied to %s, and are kept here: %s", self._url, error)
                self._stopped.wait(wait)
                wait = min(wait * 2, _LONGEST_WAIT)
            else:
                if wait != _FIRST_WAIT:
                    _log.warning("segments are copied to %s again", self._url)
                wait, self.failing = _FIRST_WAIT, False
                self.wake.wait()


def _dropped(each: Expired, now: datetime) -> Event:
    return SegmentDropped(
        at=now,
        segment=each.segment.name,
        first=each.segment.first,
        lines=each.lines,
        until=each.until,
        archived=each.archived,
        unsent=each.unsent,
    )
