"""The audit journal: every event becomes the next line of a sink, without a gap, or there is an error.

Decides the sequence, what a failed write means, and when lines are flushed to the disk. Does not know where lines go
(`sink.py`) nor how they are written (`record.py`).

`append` does not await: when it returns, the kernel has the records, and what they record may happen. `enqueue` lets
the sessions share a write (`group_commit.py`). A write that fails leaves nothing behind, and the next may succeed.
While the sink is not where it was, each write looks for it. After a failed fsync, or when the content of the sink is
not known any more, the journal has failed for good: nobody can know what was kept.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Literal

from pgjit.audit.event import Event, Execution, Outcome
from pgjit.audit.group_commit import GroupCommit
from pgjit.audit.journal_line import digest_of, number_of, time_of
from pgjit.audit.keeping_event import JournalReplaced, JournalTorn
from pgjit.audit.lines_back import holds, recorded_windows, records_back
from pgjit.audit.record_lines import RecordLines
from pgjit.audit.redaction.salts import SaltSource
from pgjit.audit.results.result_files import ResultFiles
from pgjit.audit.rotation import Rotation
from pgjit.audit.segments.segment import Segment
from pgjit.audit.sink import OpenedSink, Sink, SinkBroken, SinkLost
from pgjit.clock import nanoseconds_of
from pgjit.errors import JournalUnavailable, ServerUnavailable
from pgjit.grants.journal_mark import JournalMark
from pgjit.single_flight import SingleFlight

__all__ = ["Durability", "Journal"]

Durability = Literal["written", "synced"]

_log = logging.getLogger("pgjit.journal")


class Journal:
    """Opened with `Journal.open`. It flushes itself every `interval` seconds while it has new records.

    `durability` is for its users: with `synced` they `await flush()` before what they recorded happens.
    """

    def __init__(
        self,
        sink: Sink,
        opened: OpenedSink,
        durability: Durability,
        rotation: Rotation,
        interval: float,
        salts: SaltSource | None = None,
    ) -> None:
        """Raises ValueError if the last line of the sink is no record."""
        self._sink = sink
        self._last = opened.last or b""  # the line of the last record
        self._seq = self._synced = number_of(self._last) if self._last else 0
        self._synced_last, self._synced_lines = self._last, sink.lines
        self.durability = durability
        self._rotation = rotation
        first = opened.first_of_segment
        began = None if first is None else time_of(first)
        self._segment_began = None if began is None else nanoseconds_of(began)
        self._interval = interval
        self._failed: str | None = None  # for good
        self._refused = False  # the last write failed; the next may succeed
        self._lost = False  # the sink is to be reopened first
        self._due: list[Callable[[datetime], Event]] = []  # records that come before any other
        if (torn := opened.torn) is not None:
            self._due.append(lambda at: JournalTorn(at=at, line=torn.line, bytes=torn.bytes, files=torn.files))
        self._lines = RecordLines(salts)
        self.results: ResultFiles | None = None  # beside the lines, if the sink keeps results
        self.on_written: list[Callable[[int, Sequence[bytes]], None]] = []
        """Each is called with the lines that were written and the number of the first; as below."""
        self.failures = 0  # writes that failed
        self.written = 0  # bytes
        self._unsynced_since = 0.0  # the oldest record that is not on the disk, in monotonic time
        self.on_synced: list[Callable[[], None]] = []
        """Each is called when more lines are on the disk: `synced_lines`. They must be quick, and not raise."""
        self.on_segment_closed: list[Callable[[Segment], None]] = []
        """Each is called with a segment that is complete on the disk. They must be quick, and not raise."""
        self._timer: asyncio.TimerHandle | None = None
        self._group = GroupCommit(self._write)
        self._fsync = SingleFlight(self._flush_once, stopped=JournalUnavailable)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")

    @classmethod
    def open(
        cls,
        sink: Sink,
        *,
        durability: Durability = "written",
        rotation: Rotation = Rotation(),  # noqa: B008  # it cannot be changed
        interval: float = 1.0,
        salts: SaltSource | None = None,
    ) -> Journal:
        """Open the sink, and continue after its last record. Raises ServerUnavailable.

        `salts`: for the records of sessions whose policy redacts; without them they cannot be written.
        """
        try:
            opened = sink.open()
        except (OSError, ValueError) as error:
            raise _unusable(sink, str(error)) from error
        try:
            return cls(sink, opened, durability, rotation, interval, salts)
        except ValueError as error:
            sink.close()
            raise _unusable(sink, str(error)) from error

    @property
    def seq(self) -> int:
        """The number of the last record."""
        return self._seq

    @property
    def last_at(self) -> datetime | None:
        """The time of the last record; None if there is none."""
        return time_of(self._last)

    @property
    def unsynced(self) -> int:
        """How many records are not on the disk yet."""
        return self._seq - self._synced

    @property
    def lag(self) -> float:
        """The age of the oldest record that is not on the disk yet, in seconds."""
        return time.monotonic() - self._unsynced_since if self.unsynced else 0.0

    @property
    def origin(self) -> str:
        """The name of the log that its lines are in. It changes when the sink was lost and began anew."""
        return self._sink.origin

    @property
    def synced_lines(self) -> int:
        """How many lines of this log are on the disk."""
        return self._synced_lines

    @property
    def writable(self) -> bool:
        """Whether a record could be written now. Probes the sink after a failed write."""
        if self._failed is not None:
            return False
        if self._refused:
            try:
                self._find_again()
                self._sink.probe()
            except OSError as error:
                self._note_failure(error)
                return False
            self._note_recovery()
        return True

    @property
    def name(self) -> str:
        """Where it is, for messages."""
        return self._sink.name

    @property
    def mark(self) -> JournalMark | None:
        """The last record that was flushed to the disk; None if the sink has none."""
        if not self._synced_last:
            return None
        return JournalMark(number_of(self._synced_last), digest_of(self._synced_last))

    def holds(self, mark: JournalMark) -> bool:
        """Whether the record of `mark` is in the journal, unchanged. Blocks while it reads back to that record.

        Raises JournalUnavailable.
        """
        return holds(self._sink.lines_back(), mark)

    def skip_numbers_to(self, seq: int) -> None:
        """Use no number up to `seq` again: the records that had them are missing from the sink."""
        self._seq = max(self._seq, seq)
        self._synced = max(self._synced, seq)

    def records_back(self, since: datetime, kinds: bytes) -> Iterator[dict[str, Any]]:
        """The records since `since` whose type begins with `kinds`, the last first. Blocks while it reads.

        Raises JournalUnavailable.
        """
        return records_back(self._sink.lines_back(), since, kinds)

    def recorded_windows(self, since: datetime) -> set[tuple[str, str]]:
        """The records of windows since `since`: type and window id of each. Blocks while it reads.

        Raises JournalUnavailable.
        """
        return recorded_windows(self._sink.lines_back(), since)

    def append(self, events: Sequence[Event]) -> int:
        """Record all of `events`, in order, or none. Returns their size in bytes. Raises JournalUnavailable.

        The records that wait are written first.
        """
        self._group.write()
        if not events:
            return 0
        (size,) = self._write([events])
        if size is None:
            raise JournalUnavailable
        return size

    def enqueue(self, events: Sequence[Event], done: Callable[[int | None], None], *, soon: bool = True) -> None:
        """Record `events` with the next write, at the end of this turn of the event loop.

        Then `done` is called with their size in bytes, or with None if the journal could not record them.
        Not `soon`: they may wait some milliseconds for a write that others need.
        """
        self._group.add(events, done, soon=soon)

    def write_enqueued(self) -> None:
        """Write the records that wait now, and report it to those who wait. Does not raise."""
        self._group.write()

    def rotate_if_due(self, now: datetime) -> None:
        """Close the open segment if its first record is too old, also when nothing is appended."""
        if self._rotation.due(self._sink.open_bytes, 0, self._segment_began, nanoseconds_of(now)) and self.writable:
            try:
                self._rotate()
            except OSError as error:
                self._note_failure(error)
            else:
                self._begin_timer()

    async def flush(self) -> None:
        """Return when every record of before the call is on the disk. Raises JournalUnavailable.

        Callers share fsyncs: those who call while one runs wait for the next, which covers their records.
        """
        self._group.write()
        target = self._seq
        while self._synced < target:
            if self._failed is not None:
                raise JournalUnavailable
            await self._fsync()

    async def close(self) -> None:
        """Flush, and close the sink. Raises JournalUnavailable if the last records may be lost."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        try:
            await self.flush()
        finally:
            if (fsync := self._fsync.running) is not None:
                await asyncio.wait([fsync])
            self._failed = self._failed or "closed"
            self._thread.shutdown()
            self._sink.close()

    async def _flush_once(self) -> None:
        """One fsync in the journal's own thread. Does not raise: `flush` checks what it reached."""
        covered, last, began, lines = self._seq, self._last, time.monotonic(), self._sink.lines
        try:
            closed = await asyncio.get_running_loop().run_in_executor(self._thread, self._sink.flush)
        except OSError as error:
            # The kernel may have dropped the pages that it could not write, and may report success the next time.
            self._fail(f"records up to {covered} may not be on the disk: {error}")
        else:
            self._synced, self._synced_last, self._synced_lines = covered, last, lines
            self._lines.log_again()
            self._unsynced_since = began
            for each in self.on_synced:
                each()
            for segment in closed:
                for note in self.on_segment_closed:
                    note(segment)

    def _write(self, batches: Sequence[Sequence[Event]]) -> list[int | None]:
        """Write the records of all batches at once. The size of each; None for one that is not in the journal."""
        if self._failed is not None:
            return _refused(batches)
        try:
            self._find_again()
            lines, sizes = self._lines.of(batches, self._seq + 1, self._due)
            if lines:
                self._put(lines, next(events[0] for events in batches if events))
        except OSError as error:
            self.failures += 1
            self._note_failure(error)
            return _refused(batches)
        if lines:
            self._note_written(lines)
        return sizes

    def _put(self, lines: list[bytes], first: Event) -> None:
        """Append these lines to the sink. Raises OSError."""
        content, at = b"".join(lines), _nanoseconds(first)
        if self._rotation.due(self._sink.open_bytes, len(content), self._segment_began, at):
            self._rotate()
        self._sink.append(content)
        self._due.clear()
        if not self.unsynced:
            self._unsynced_since = time.monotonic()
        self._seq += len(lines)
        self._last = lines[-1]
        self.written += len(content)
        if self._segment_began is None:
            self._segment_began = at

    def _note_written(self, lines: list[bytes]) -> None:
        if self._refused:
            self._note_recovery()
        for note in self.on_written:
            try:
                note(self._seq - len(lines) + 1, lines)
            except Exception:  # noqa: BLE001 - the lines are written, and those who wait for that have to learn it
                _log.exception("what takes the journal's lines failed")
        if self._timer is None:
            self._begin_timer()

    def _rotate(self) -> None:
        self._sink.rotate()
        self._segment_began = None

    def _find_again(self) -> None:
        """Look for a sink that was lost. Raises OSError if it is not back."""
        if not self._lost:
            return
        origin, lines, seq, digest = self._sink.origin, self._sink.lines, self._seq, digest_of(self._last)
        # A flush of the old one has its files open still: none may begin anew under it.
        if not self._sink.reopen(anew=self._fsync.running is None):
            self._synced_lines, self._segment_began = 0, None
            self._due.append(
                lambda at: JournalReplaced(
                    at=at, origin=self._sink.origin, origin_before=origin, lines=lines, seq=seq, sha256=digest
                )
            )
        self._lost = False

    def _begin_timer(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # used outside a loop: close() flushes
            return
        self._timer = loop.call_later(self._interval, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._failed is not None or self._synced == self._seq:
            return
        if self._fsync.running is None:
            self._fsync.begin()
        else:
            self._begin_timer()  # the one under way may not cover the newest records

    def _note_failure(self, error: OSError) -> None:
        if isinstance(error, SinkBroken):
            self._fail(str(error))
            return
        self._lost = self._lost or isinstance(error, SinkLost)
        if not self._refused:  # logged once, not for every refused statement
            self._refused = True
            _log.error("journal %s takes no records, statements are refused: %s", self._sink.name, error)

    def _note_recovery(self) -> None:
        self._refused = False
        _log.warning("journal %s takes records again", self._sink.name)

    def _fail(self, why: str) -> None:
        self._failed = why
        _log.critical("journal %s failed and takes no records until a restart: %s", self._sink.name, why)


def _nanoseconds(event: Event) -> int:
    return event.at if isinstance(event, Execution | Outcome) else nanoseconds_of(event.at)


def _refused(batches: Sequence[Sequence[Event]]) -> list[int | None]:
    """A batch without events has nothing to record, and is not refused."""
    return [None if events else 0 for events in batches]


def _unusable(sink: Sink, detail: str) -> ServerUnavailable:
    return ServerUnavailable(
        f"journal `{sink.name}` cannot be used",
        reference="journal-unusable",
        detail=detail,
        hint="pgjit runs nothing that it cannot record: give it a journal that it alone may write.",
    )
