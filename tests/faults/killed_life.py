"""A life of one grant that is killed at each of its steps, restarted, and checked.

python -m tests.faults.killed_life FOLDER EVERY [SOCKET_FOLDER PORT]

The store is a file; or, with a place, the PostgreSQL store `pgjit_store` there. Then the killed process was node
`one`, and node `two` goes on beside it before `one` is restarted.

Steps are: each SQL statement, each commit, what follows it, and before and after each write of the journal. Each life
is a forked process, which gets SIGKILL at its step, so that one start of the interpreter serves all of them. Prints a
JSON line for each life: the step, where it was, and the faults that were found after the restart.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from pgjit.audit.journal import Journal
from pgjit.audit.sinks import SegmentSink
from pgjit.clock import Clock
from pgjit.errors import AccessRefused
from pgjit.grants.lifecycle import begun_end
from pgjit.grants.listing import RequestFilter, WindowFilter
from pgjit.grants.notification import NOTICE_KINDS
from pgjit.grants.request import Request, RequestState
from pgjit.grants.requests import Requests
from pgjit.grants.scope import Scope, ScopeKind
from pgjit.grants.stores.postgres_database import PostgresDatabase
from pgjit.grants.stores.postgres_login import PostgresLogin, connect
from pgjit.grants.stores.schema import metadata
from pgjit.grants.stores.sql import SqlStore
from pgjit.grants.stores.sqlite_database import SqliteDatabase
from pgjit.grants.window import Window
from pgjit.proxy.registry import Registry
from pgjit.proxy.window.revocations import Revocations
from pgjit.proxy.window.windows import Windows
from tests.contracts.store import NOW
from tests.grants.review_cast import ADMIN, CAROL, MINUTE, REVIEWED, asker, reviewer
from tests.run.journal_text import journal_records
from tests.run.waiting import until

T = TypeVar("T")
EVENTS = NOTICE_KINDS | {f"request.{state.value}" for state in RequestState}
WHOLE = 10_000  # steps that no life has: it comes to its end


class Steps:
    """Counts the steps of this process, and kills it at one of them."""

    count = 0
    kill_at = WHOLE
    place = Path()

    def take(self, name: str) -> None:
        self.count += 1
        if self.count == self.kill_at:
            self.place.write_text(name)
            os.kill(os.getpid(), signal.SIGKILL)


STEPS = Steps()


class SteppedSink(SegmentSink):
    def append(self, lines: bytes) -> None:
        STEPS.take("before a write of the journal")
        super().append(lines)
        STEPS.take("after a write of the journal")


class SteppedStore(SqlStore):
    async def _transaction(self, work: Callable[[sa.Connection], T]) -> T:
        result = await super()._transaction(work)
        STEPS.take("after a commit")
        return result


def _watch_sql() -> None:
    def executed(connection: object, cursor: object, statement: str, *rest: object) -> None:
        STEPS.take(f"after {statement[:60]}")

    sa.event.listen(sa.Engine, "after_cursor_execute", executed)
    sa.event.listen(sa.Engine, "commit", lambda connection: STEPS.take("before a commit"))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a life has its store and its journals."""

    folder: Path
    server: PostgresLogin | None = None

    def store(self, node: str) -> SqlStore:
        if self.server is None:
            return SteppedStore(SqliteDatabase(self.folder / "w.sqlite3"), node=node)
        return SteppedStore(PostgresDatabase(self.server), node=node)

    def journal(self, node: str) -> Path:
        return self.folder / f"{node}-journal"

    @property
    def records(self) -> list[dict[str, Any]]:
        records = [each for path in sorted(self.folder.glob("*-journal")) for each in journal_records(path)]
        return [record for record in records if record["type"] != "journal.resumed"]


@asynccontextmanager
async def process(
    place: Place, after: timedelta, node: str = "one"
) -> AsyncIterator[tuple[SqlStore, Windows, Requests, Revocations]]:
    """What a run of pgjit has of all this: store, journal, windows, requests and revocations."""
    clock = Clock(wall=lambda: NOW + after)
    store = place.store(node)
    await store.open()
    await store.begin_node(node, {})
    journal = Journal.open(SteppedSink(place.journal(node)))
    windows = Windows(store, journal, Registry(), clock)
    await windows.resume({REVIEWED.name: REVIEWED})
    if place.server is not None:
        for window in await store.adopt_windows(clock(), timedelta()):
            windows.end_now(window, *begun_end(window))
    requests = Requests(store, clock, lambda _: REVIEWED)
    yield store, windows, requests, Revocations(store, windows, Registry(), clock)
    await windows.close()
    await journal.close()
    await store.close()


async def live(place: Place) -> None:
    """Request, approve, open, revoke, end."""
    async with process(place, MINUTE) as (_, windows, requests, revocations):
        made = await requests.make(asker(), REVIEWED, REVIEWED.connection, reason="schema diff")
        await requests.approve(made.id, reviewer(CAROL), comment="go", ttl=10 * MINUTE)
        window, _ = await windows.admit(asker(), REVIEWED, "10.0.0.7:5", "schema diff")
        await revocations.revoke(Scope(ScopeKind.WINDOW, window.id), "wrong table", ADMIN)
        await _until_ended(windows, window)


async def _until_ended(windows: Windows, window: Window) -> None:
    await until(lambda: not windows.is_open(window.id))


async def restart(place: Place) -> list[str]:
    """The next runs go on; returns the faults that are found in the end."""
    for node in ("one",) if place.server is None else ("two", "one"):
        async with process(place, 2 * MINUTE, node) as (store, windows, _, revocations):
            await revocations.enforce()
            for window in (await store.windows(WindowFilter())).items:
                if window.revoked_at is not None:
                    await _until_ended(windows, window)
    async with process(place, 3 * MINUTE) as (store, windows, _, revocations):
        found = (await store.windows(WindowFilter())).items
        faults = [fault for window in found for fault in await _faults_of(window, windows)]
        requests = (await store.requests(RequestFilter())).items
        await store.spread_notices({"hook": EVENTS}, NOW + 3 * MINUTE)
        notified = sum(each.count for each in (await store.waiting_notifications()).values())
    records = place.records
    if len(found) > 1:
        faults.append(f"{len(found)} windows")
    faults += _journal_faults(records, list(requests), list(found))
    entries = {record["entry"] for record in records if record["type"] in NOTICE_KINDS}
    if notified != len(entries):
        faults.append(f"{notified} notifications of {len(entries)} changes")
    return faults


async def _faults_of(window: Window, windows: Windows) -> list[str]:
    faults = []
    if window.ends_at > window.opened_at + 10 * MINUTE:
        faults.append(f"the window is longer than granted: {window.opened_at} to {window.ends_at}")
    if window.revoked_at is not None:
        if (window.ended_at, window.end_reason) == (None, None) or window.end_reason != "revoked":
            faults.append(f"a revoked window has not ended: {window}")
        try:
            await windows.admit(asker(), REVIEWED, "10.0.0.7:5", "schema diff")
        except AccessRefused:
            pass
        else:
            faults.append("a login passes a revocation")
    return faults


def _journal_faults(records: list[dict[str, Any]], requests: list[Request], found: list[Window]) -> list[str]:
    """Each transition of the store is in the journal, and the journal has none that the store has not."""
    expected = Counter[str]()
    for request in requests:
        expected["request.made"] += 1
        expected["request.verdict"] += len(request.verdicts)
        expected["request.ended"] += {RequestState.PENDING: 0, RequestState.APPROVED: 1}.get(request.state, 2)
    for window in found:
        expected["window.opened"] += 1
        expected["window.revoked"] += window.revoked_at is not None
        expected["window.ended"] += window.ended_at is not None
    # A record of the journal outbox may be there twice, with the same number.
    once = {(record["type"], record.get("entry", index)) for index, record in enumerate(records)}
    counted = Counter(kind for kind, _ in once if kind != "window.adopted")
    if sum(kind == "window.adopted" for kind, _ in once) > len(found):
        counted["window.adopted"] += 1
    kinds = {*expected, *counted}
    return [
        f"{kind}: {counted[kind]} in the journal, {expected[kind]} in the store"
        for kind in sorted(kinds)
        if counted[kind] != expected[kind]
    ]


def _forked(work: Callable[[], Coroutine[None, None, object]], kill_at: int, place: Path) -> int:
    """Run it in a process of its own; returns the status that it left, negative for a signal."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            STEPS.count, STEPS.kill_at, STEPS.place = 0, kill_at, place
            result = asyncio.run(work())
            if result is not None:
                place.write_text(json.dumps(result))
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


async def _made(folder: Path) -> None:
    store = SqlStore(SqliteDatabase(folder / "w.sqlite3"))
    await store.open()
    await store.close()


async def _emptied(server: PostgresLogin) -> None:
    connection = await connect(server)
    await connection.execute(f"TRUNCATE {', '.join(metadata.tables)} RESTART IDENTITY")
    await connection.close()


def _one(template: Path, place: Place, kill_at: int) -> dict[str, Any]:
    folder, server = place.folder, place.server
    shutil.copytree(template, folder)
    if server is not None:
        _forked(lambda: _emptied(server), WHOLE, folder / "emptied")
    killed = _forked(lambda: live(place), kill_at, folder / "place")
    step = (folder / "place").read_text() if killed < 0 else "the end"
    restarted = _forked(lambda: restart(place), WHOLE, folder / "faults")
    faults = json.loads((folder / "faults").read_text()) if restarted == 0 else [f"the restart left {restarted}"]
    shutil.rmtree(folder)
    return {"step": kill_at, "status": killed, "place": step, "faults": faults}


def main(folder: Path, every: int, server: PostgresLogin | None = None) -> None:
    _watch_sql()
    template = folder / "template"
    template.mkdir()
    if server is None:
        _forked(lambda: _made(template), WHOLE, template / "place")
    for step in range(1, WHOLE, every):
        outcome = _one(template, Place(folder / str(step), server), step)
        print(json.dumps(outcome), flush=True)
        if outcome["status"] >= 0:
            return


if __name__ == "__main__":
    at_server = None
    if len(sys.argv) > 3:
        hosts = ((sys.argv[3], int(sys.argv[4])),)
        at_server = PostgresLogin(hosts=hosts, database="pgjit_store", user="postgres")
    main(Path(sys.argv[1]), int(sys.argv[2]), at_server)
