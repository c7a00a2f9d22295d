"""The events that people may follow: the latest records of the journal about requests, windows, sessions and locks.

Decides which records are events, how many are kept, and when a reader has missed some. The events are those of this
node; a reader that has missed some is sent `gap`, and reads the state again.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from pgjit.api.refusals import TooManyCalls
from pgjit.grants.holder import HolderKey
from pgjit.identity.identity import IdentityKey

__all__ = ["EventFeed", "FeedEvent"]

_KINDS = (
    b"request.", b"window.", b"lock.", b"break_glass.", b"session.opened", b"session.ended", b"session.killed",
)  # fmt: skip
_TYPE = b'"type":"'
_KEPT = 2000
_MOST_READERS = 160
_KEPT_READERS = 40  # places of those who read everything
_MOST_OF_CALLER = 4
_SHOWN = ("tid", "oid", "kind", "display")  # of an identity


@dataclass(frozen=True)
class FeedEvent:
    seq: int
    kind: str
    record: dict[str, Any]

    @property
    def identity(self) -> IdentityKey | None:
        """Whom it is about."""
        identity = self.record.get("identity")
        return IdentityKey(identity["tid"], identity["oid"]) if isinstance(identity, dict) else None

    @cached_property
    def data(self) -> str:
        """The record as readers get it, as JSON. It is written once, however many readers there are."""
        record = {name: value for name, value in self.record.items() if name not in ("v", "seq")}
        if isinstance(identity := record.get("identity"), dict):
            record["identity"] = {name: identity.get(name) for name in _SHOWN if name in identity}
        return json.dumps(record)


class EventFeed:
    def __init__(self, node: str, seq: int = 0) -> None:
        """`seq`: the last record that the journal had before. `node` is part of every event's id."""
        self._node = node
        self._events: deque[FeedEvent] = deque(maxlen=_KEPT)
        self._before = seq  # every event after this one is kept
        self._seq = seq
        self._news = asyncio.Event()
        self._ended = asyncio.Event()
        self._readers: Counter[HolderKey] = Counter()
        self.changes = 0
        """How often the store was changed, by any node; only counted where several share it."""
        self.closed = False

    def take(self, first: int, lines: Sequence[bytes]) -> None:
        """The journal has written `lines`, the first with this number. Called for every record: it is quick."""
        self._seq = first + len(lines) - 1
        for seq, line in enumerate(lines, first):
            begin = line.find(_TYPE, 0, 100) + len(_TYPE)
            if line.startswith(_KINDS, begin):
                self._add(seq, line)

    def _add(self, seq: int, line: bytes) -> None:
        record = _as_shown(orjson.loads(line))
        if len(self._events) == _KEPT:
            self._before = self._events[0].seq
        self._events.append(FeedEvent(seq, record["type"], record))
        self._wake()

    def note_change(self) -> None:
        """A node has changed something in the store: readers of other nodes have no event of it."""
        self.changes += 1
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def close(self) -> None:
        """End all streams."""
        self.closed = True
        self._news.set()
        self._ended.set()

    # --- readers ---------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def reading(self, caller: HolderKey, *, reads_all: bool = False) -> Iterator[None]:
        """Holds a place. Raises TooManyCalls."""
        most = _MOST_READERS if reads_all else _MOST_READERS - _KEPT_READERS
        if self._readers[caller] >= _MOST_OF_CALLER or self._readers.total() >= most:
            raise TooManyCalls(15)
        self._readers[caller] += 1
        try:
            yield
        finally:
            self._readers[caller] -= 1
            if not self._readers[caller]:
                del self._readers[caller]

    def id_of(self, event: FeedEvent) -> str:
        return f"{self._node}:{event.seq}"

    def position(self, last_id: str | None) -> int | None:
        """The number after which a reader goes on; None if it has missed events, or its id is of another node."""
        if last_id is None:
            return self._seq
        node, _, number = last_id.rpartition(":")
        if node != self._node or not number.isascii() or not number.isdigit() or len(number) > 18:
            return None
        return int(number) if self._before <= int(number) <= self._seq else None

    @property
    def latest(self) -> int:
        return self._seq

    @property
    def latest_id(self) -> str:
        """The id after which a reader misses nothing that happens from now on."""
        return f"{self._node}:{self._seq}"

    def after(self, position: int) -> list[FeedEvent] | None:
        """The events after `position`; None if some are not kept any more."""
        if position < self._before:
            return None
        found = list(itertools.takewhile(lambda event: event.seq > position, reversed(self._events)))
        found.reverse()
        return found

    async def pause(self, seconds: float) -> None:
        """Until the feed is closed, or the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()

    async def wait(self, position: int, seconds: float) -> None:
        """Until there is an event after `position`, something changed, the feed is closed, or the time is over."""
        news = self._news
        if self.closed or (self._events and self._events[-1].seq > position):
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await news.wait()


def _as_shown(record: dict[str, Any]) -> dict[str, Any]:
    """`session.ended` has only the keys of its identity and window. All events show them as objects."""
    if record["type"] == "session.ended":
        tid, _, oid = record["identity"].partition("/")
        record["identity"] = {"tid": tid, "oid": oid}
        record["window"] = {"id": record["window"]}
    return record
