"""A store that lost windows, a journal that lost records: how a restart repairs them."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pgjit.audit.event import ServiceStarted
from pgjit.audit.journal import Journal
from pgjit.audit.segments import list_segments
from pgjit.audit.sinks import SegmentSink
from pgjit.clock import Clock
from pgjit.errors import AccessRefused, CoolingDown
from pgjit.grants.stores.sql import SqlStore
from pgjit.grants.stores.sqlite_database import SqliteDatabase
from pgjit.policy.identity_terms import IdentityTerms
from pgjit.policy.policy import Limits, Policy
from pgjit.proxy.registry import Registry
from pgjit.proxy.window.reconciliation import reconcile
from pgjit.proxy.window.windows import Windows
from tests.contracts.store import HOUR, NOW, POLICY
from tests.fakes.both_ends import CONTEXT
from tests.run.journal_text import journal_lines

ANN = CONTEXT.identity


@dataclass
class Machine:
    """What outlives a process: the two files, and the clock."""

    folder: Path
    policy: Policy = POLICY
    now: datetime = NOW
    seq: int = 0

    @property
    def store_path(self) -> Path:
        return self.folder / "w.sqlite3"

    @property
    def journal_path(self) -> Path:
        return self.folder / "journal"

    @asynccontextmanager
    async def process(self) -> AsyncIterator[Windows]:
        store = SqlStore(SqliteDatabase(self.store_path))
        await store.open()
        journal = Journal.open(SegmentSink(self.journal_path))
        await reconcile(store, journal, {self.policy.name: self.policy}, self.now)
        journal.append([ServiceStarted(at=self.now, version="0", config_hash="0", policies=())])
        clock = Clock(wall=lambda: self.now, steady=self._steady)
        windows = Windows(store, journal, Registry(), clock)
        await windows.resume({self.policy.name: self.policy})
        try:
            yield windows
        finally:
            await journal.flush()
            await windows.close()
            self.seq = journal.seq
            await journal.close()
            await store.close()

    def _steady(self) -> float:
        return (self.now - NOW).total_seconds()

    async def admit(self, windows: Windows) -> str:
        window, _ = await windows.admit(ANN, self.policy, "10.0.0.7:5", None)
        return window.id

    @property
    def records(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in journal_lines(self.journal_path)]

    def of_type(self, type_: str) -> list[dict[str, object]]:
        return [each for each in self.records if each["type"] == type_]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def _delete(machine: Machine) -> None:
    for each in machine.folder.glob("w.sqlite3*"):
        each.unlink()


def _empty(machine: Machine) -> None:
    with sqlite3.connect(machine.store_path) as direct:
        for table in ("windows", "outbox", "usage", "clock", "used_tokens"):
            direct.execute(f"DELETE FROM {table}")
    direct.close()


def _truncate(machine: Machine) -> None:
    machine.store_path.write_bytes(b"")


def _roll_back(machine: Machine) -> None:
    for each in machine.folder.glob("w.sqlite3*"):
        each.unlink()
    shutil.copy(machine.folder / "snapshot", machine.store_path)


@pytest.mark.parametrize("lose", [_delete, _empty, _truncate, _roll_back])
@pytest.mark.parametrize("after", [timedelta(minutes=1), timedelta(minutes=90)], ids=["open", "cooling down"])
async def test_a_store_that_lost_a_window_does_not_open_it_again(
    machine: Machine, lose: Callable[[Machine], None], after: timedelta
) -> None:
    async with machine.process():
        pass
    shutil.copy(machine.store_path, machine.folder / "snapshot")
    async with machine.process() as windows:
        window_id = await machine.admit(windows)
    lose(machine)
    machine.now += after
    async with machine.process() as windows:
        with pytest.raises(CoolingDown) as refused:
            await machine.admit(windows)
        assert refused.value.retry_at == NOW + 2 * HOUR
    [restored] = machine.of_type("store.restored")
    assert restored["windows"] == [window_id]
    [ended] = machine.of_type("window.ended")
    assert ended["reason"] == ("store-lost" if after < HOUR else "ttl")
    machine.now = NOW + 2 * HOUR
    async with machine.process() as windows:
        assert await machine.admit(windows) != window_id
    assert len(machine.of_type("store.restored")) == 1
    assert len(machine.of_type("window.ended")) == 1


async def test_a_store_that_lost_nothing_is_left_alone(machine: Machine) -> None:
    async with machine.process() as windows:
        window_id = await machine.admit(windows)
    async with machine.process() as windows:
        assert await machine.admit(windows) == window_id
    assert not machine.of_type("store.restored")
    assert not machine.of_type("journal.gap")


async def test_a_token_that_may_have_been_used_is_not_taken_once_more(machine: Machine) -> None:
    machine.policy = replace(POLICY, identity=IdentityTerms(single_use_token=True), cooldown=timedelta(seconds=1))
    async with machine.process() as windows:
        await machine.admit(windows)
    _delete(machine)
    machine.now += timedelta(minutes=1)
    async with machine.process() as windows:
        machine.now = NOW + HOUR + timedelta(seconds=2)
        with pytest.raises(AccessRefused) as refused:
            await machine.admit(windows)
        assert refused.value.reference == "token-used"


async def test_a_budget_that_was_rolled_back_is_counted_from_the_journal(machine: Machine) -> None:
    machine.policy = replace(POLICY, limits=Limits(window_rows=100))
    async with machine.process() as windows:
        window_id = await machine.admit(windows)
    outcome = {"window": window_id, "ended": "completed", "rows": 60, "bytes": 900}
    with _segment(machine.journal_path).open("a") as journal:
        for seq in (machine.seq + 1, machine.seq + 2):
            record = {"v": 1, "seq": seq, "time": "2026-11-24T09:00:01.000000Z", "type": "outcome", **outcome}
            journal.write(json.dumps(record, separators=(",", ":")) + "\n")
    async with machine.process() as windows:
        await machine.admit(windows)
        [window] = await windows._store.unended()
        used = windows.usage(window)
        assert (used.rows, used.bytes, used.statements) == (120, 1800, 2)


def _segment(folder: Path) -> Path:
    return list_segments(folder)[-1].path


def _cut(folder: Path) -> None:
    path = _segment(folder)
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-2]))


def _rewrite(folder: Path) -> None:
    path = _segment(folder)
    *rest, last = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*rest, last.replace("service.started", "service.stopped")]))


def _move(folder: Path) -> None:
    folder.rename(folder.with_name("journal-47"))


def _unlink(folder: Path) -> None:
    _segment(folder).unlink()


@pytest.mark.parametrize(
    ("change", "reason"), [(_cut, "missing"), (_rewrite, "changed"), (_move, "missing"), (_unlink, "missing")]
)
async def test_a_journal_that_lost_records_uses_no_number_twice_and_records_the_gap(
    machine: Machine, change: Callable[[Path], None], reason: str
) -> None:
    for _ in range(3):
        async with machine.process():
            pass
    seen = machine.seq
    change(machine.journal_path)
    async with machine.process():
        pass
    [gap] = machine.of_type("journal.gap")
    assert (gap["seq"], gap["expected"], gap["reason"]) == (seen + 1, seen, reason)
    async with machine.process():
        pass
    assert len(machine.of_type("journal.gap")) == 1
    numbers = [each["seq"] for each in machine.records]
    assert len(set(numbers)) == len(numbers)


async def test_a_journal_with_more_than_the_store_has_seen_is_as_it_should_be(machine: Machine) -> None:
    async with machine.process():
        pass
    shutil.copy(machine.store_path, machine.folder / "snapshot")
    async with machine.process():
        pass
    _roll_back(machine)
    async with machine.process():
        pass
    assert not machine.of_type("journal.gap")
