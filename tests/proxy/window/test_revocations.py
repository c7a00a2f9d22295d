"""Orders of people are enforced on the windows of this node, whoever gave them and whichever report was lost."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from pgjit.audit.journal import Journal
from pgjit.audit.sinks import SegmentSink
from pgjit.clock import Clock
from pgjit.errors import AccessRefused
from pgjit.grants.actor import Actor
from pgjit.grants.scope import Scope, ScopeKind
from pgjit.grants.stores.sql import SqlStore
from pgjit.grants.stores.sqlite_database import SqliteDatabase
from pgjit.identity.identity import Identity, IdentityKey, IdentityKind
from pgjit.policy.policy import Policy
from pgjit.proxy.registry import Registry, SessionView
from pgjit.proxy.window.revocations import Revocations
from pgjit.proxy.window.windows import Windows
from tests.contracts.store import NOW, POLICY
from tests.fakes.both_ends import CONTEXT
from tests.fakes.starved_logins import starve_logins
from tests.run.waiting import until_it_holds

ADMIN = Actor(key=IdentityKey("t", "admin"), display="An Admin", via="api")


async def _house(folder: Path, policies: dict[str, Policy]) -> tuple[SqlStore, Windows, Revocations, Journal]:
    store, journal = SqlStore(SqliteDatabase(folder / "w.sqlite3")), Journal.open(SegmentSink(folder / "journal"))
    await store.open()
    clock, registry = Clock(wall=lambda: NOW, steady=lambda: 0.0), Registry()
    windows = Windows(store, journal, registry, clock)
    await windows.resume(policies)
    return store, windows, Revocations(store, windows, registry, clock), journal


async def _close(store: SqlStore, windows: Windows, journal: Journal) -> None:
    await windows.close()
    await journal.close()
    await store.close()


@pytest.mark.parametrize("order", ["revoke here", "revoke elsewhere", "lock here", "lock elsewhere", "end elsewhere"])
async def test_an_order_ends_the_window_once_and_no_other_opens(tmp_path: Path, order: str) -> None:
    store, windows, revocations, journal = await _house(tmp_path, {POLICY.name: POLICY})
    window, _ = await windows.admit(CONTEXT.identity, POLICY, "10.0.0.7:5", None)
    what, where = order.split()
    scope = Scope(ScopeKind.POLICY, POLICY.name)
    # What is done elsewhere is only in the store: one round of the enforcement has to find it.
    if what == "end":
        await store.end(window.id, NOW, "admin")
    elif what == "revoke":
        await (revocations.revoke(scope, "why", ADMIN) if where == "here" else store.revoke(scope, ADMIN, "why", NOW))
    else:
        other = Revocations(store, Windows(store, journal, Registry(), Clock()), Registry(), Clock())
        await (revocations if where == "here" else other).lock(scope, "why", ADMIN)
    if where == "elsewhere":
        assert windows.early_end(window.id) is None
        await revocations.enforce()
    reason = {"revoke": "revoked", "lock": "locked", "end": "admin"}[what]
    assert windows.early_end(window.id) == (reason, None if what == "end" else "why")
    await revocations.enforce()

    async def ended() -> bool:
        stored = await store.window(window.id)
        return stored is not None and stored.end_reason == reason

    await until_it_holds(ended)
    with pytest.raises(AccessRefused):
        await windows.admit(CONTEXT.identity, POLICY, "10.0.0.7:5", None)
    await _close(store, windows, journal)


class _Session:
    """A live session that an agent has for a person."""

    cancel_secret = b""
    backend_pid: int | None = None
    idle = abandoned = False
    executions = 0

    def __init__(self, identity: Identity, window_id: str) -> None:
        self.window_id = window_id
        self.ended: list[tuple[str, str | None]] = []
        self.view = SessionView(
            id=f"s_{identity.app_id}", window=window_id, identity=identity, policy=POLICY.name,
            connection=POLICY.connection, backend_pid=1, source="10.0.0.7:5", application_name=None, opened_at=NOW,
            ends_at=NOW, executions=0, state="idle",
        )  # fmt: skip

    identity_key: IdentityKey | None = None
    policy: Policy | None = None

    def follow(self, policy: Policy, ends_at: datetime | None, rules_since: int) -> bool:
        raise AssertionError("no policy changes")

    def renew_notices(self) -> None: ...

    def hold(self) -> None: ...

    def cut_off(self) -> None: ...

    async def leave(self, reason: str, seconds: float) -> None: ...

    async def cancel(self) -> None: ...

    def send_notice(self, notice: bytes) -> bool:
        raise AssertionError("nothing is shutting down")

    async def end(self, reason: str, explanation: str | None = None) -> None:
        self.ended.append((reason, explanation))

    def abandon(self) -> None: ...


async def test_a_lock_on_a_client_ends_the_sessions_through_it_in_the_window_of_a_person(tmp_path: Path) -> None:
    store, journal = SqlStore(SqliteDatabase(tmp_path / "w.sqlite3")), Journal.open(SegmentSink(tmp_path / "journal"))
    await store.open()
    clock, registry = Clock(wall=lambda: NOW, steady=lambda: 0.0), Registry()
    windows = Windows(store, journal, registry, clock)
    await windows.resume({POLICY.name: POLICY})
    revocations = Revocations(store, windows, registry, clock)
    user = replace(CONTEXT.identity, kind=IdentityKind.USER, app_id="a-client")
    other = replace(user, app_id="other-client")
    window, _ = await windows.admit(user, POLICY, "10.0.0.7:5", None)
    by_user, by_other = _Session(user, window.id), _Session(other, window.id)
    registry.add("s_a-client", by_user)
    registry.add("s_other-client", by_other)
    await revocations.lock(Scope.of_identity(IdentityKey(user.key.tid, "other-client")), "leaked", ADMIN)
    async with asyncio.timeout(30):
        while not by_other.ended:
            await asyncio.sleep(0)
    assert (by_other.ended, by_user.ended) == ([("locked", "leaked")], [])
    assert windows.early_end(window.id) is None
    with pytest.raises(AccessRefused):
        await windows.admit(other, POLICY, "10.0.0.7:5", None)
    assert (await windows.admit(user, POLICY, "10.0.0.7:5", None))[0].id == window.id
    registry.remove("s_a-client")
    registry.remove("s_other-client")
    await _close(store, windows, journal)


async def test_a_window_whose_policy_was_deleted_ends_at_the_start(tmp_path: Path) -> None:
    store, windows, _, journal = await _house(tmp_path, {POLICY.name: POLICY})
    window, _ = await windows.admit(CONTEXT.identity, POLICY, "10.0.0.7:5", None)
    await _close(store, windows, journal)
    store, windows, _, journal = await _house(tmp_path, {})

    async def ended() -> bool:
        stored = await store.window(window.id)
        return stored is not None and stored.end_reason == "policy-deleted"

    await until_it_holds(ended)
    await _close(store, windows, journal)


async def test_a_session_that_nobody_has_is_not_killed(tmp_path: Path) -> None:
    store, windows, revocations, journal = await _house(tmp_path, {POLICY.name: POLICY})
    assert not await revocations.kill("s_nobody", "why", ADMIN)
    assert (await store.standing_orders(NOW)).kills == ()
    await _close(store, windows, journal)


async def test_a_store_that_fails_is_read_again(tmp_path: Path) -> None:
    store, windows, revocations, journal = await _house(tmp_path, {POLICY.name: POLICY})
    window, _ = await windows.admit(CONTEXT.identity, POLICY, "10.0.0.7:5", None)
    await store.close()
    async with revocations.enforced():
        await asyncio.sleep(0)  # a round fails
        await store.open()
        await store.revoke(Scope(ScopeKind.ALL), ADMIN, "why", NOW)
        revocations.wake()

        async def ended() -> bool:
            return windows.early_end(window.id) == ("revoked", "why")

        await until_it_holds(ended)
    await _close(store, windows, journal)


@pytest.mark.parametrize("order", ["lock", "revoke"])
async def test_clients_that_log_in_do_not_put_an_order_off(
    tmp_path: Path, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, windows, revocations, journal = await _house(tmp_path, {POLICY.name: POLICY})
    opened = [
        await windows.admit(
            replace(CONTEXT.identity, key=IdentityKey("t", f"agent-{number}")), POLICY, "10.0.0.7:5", None
        )
        for number in range(50)
    ]
    scope = Scope(ScopeKind.POLICY, POLICY.name)
    starve_logins(monkeypatch)
    async with asyncio.timeout(60):
        if order == "lock":
            await revocations.lock(scope, "why", ADMIN)
        else:
            await store.revoke(scope, ADMIN, "why", NOW)
            await revocations.enforce()
    reason = {"revoke": "revoked", "lock": "locked"}[order]
    assert {windows.early_end(window.id) for window, _ in opened} == {(reason, "why")}
    await _close(store, windows, journal)
