"""Random people, clocks, policies, faults and crashes: nothing opens a window that people did not approve.

After every step the whole store is compared with the rules: see the invariants at the end.
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from pgjit.clock import Clock
from pgjit.errors import PgjitError
from pgjit.grants.lifecycle import effective_end
from pgjit.grants.listing import RequestFilter, WindowFilter
from pgjit.grants.lock import Lock
from pgjit.grants.request import Request, RequestState
from pgjit.grants.request_refusals import UnfitValue
from pgjit.grants.requests import Requests
from pgjit.grants.scope import Scope, ScopeKind
from pgjit.grants.stores.database import Database
from pgjit.grants.stores.postgres_database import PostgresDatabase
from pgjit.grants.stores.sql import SqlStore
from pgjit.grants.stores.sqlite_database import SqliteDatabase
from pgjit.grants.value_text import REQUEST_TEXT
from pgjit.grants.window import LoginAsk, Window
from pgjit.identity.identity import IdentityKey
from pgjit.policy.grant_terms import ReasonTerms
from tests.contracts.store import ALICE, NOW
from tests.fakes.store_server import StoreServer
from tests.grants.review_cast import ADMIN, CAROL, DAVE, MINUTE, OWNER, asker, reviewed_policy, reviewer

T = TypeVar("T")
PEOPLE = st.sampled_from([CAROL, DAVE, OWNER, ALICE])
REASONS = st.sampled_from(["schema diff", "something else"])
_SETTINGS = settings(max_examples=5, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck))
SCOPES = st.sampled_from([Scope(ScopeKind.ALL), Scope(ScopeKind.POLICY, "schema-checks"), Scope.of_identity(ALICE)])


class _FaultyStore(SqlStore):
    """`fault`: the next transaction is aborted after all of its work."""

    fault = False

    async def _transaction(self, work: Callable[[sa.Connection], T]) -> T:
        def aborted(connection: sa.Connection) -> T:
            result = work(connection)
            if self.fault:
                self.fault = False
                raise OSError("the process died before the commit")
            return result

        return await super()._transaction(aborted)


class ReviewMachine(RuleBasedStateMachine):
    folder: tempfile.TemporaryDirectory[str] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.now = self.latest = NOW
        self.steady = 0.0
        self.policy = reviewed_policy(2)
        self.versions = itertools.count()
        self.locks: dict[str, Lock] = {}
        self.granted: dict[str, Window] = {}
        self.open_store()

    def new_database(self) -> Database:
        self.folder = self.folder or tempfile.TemporaryDirectory()
        return SqliteDatabase(Path(self.folder.name) / "windows.sqlite3")

    def open_store(self) -> None:
        self.store = _FaultyStore(self.new_database(), node="one")
        self.run(self.store.open())
        clock = Clock(wall=lambda: self.now, steady=lambda: self.steady)
        self.requests = Requests(self.store, clock, lambda _: self.policy)
        self.clock = clock

    def run(self, work: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await work

        return self.runner.run(awaited())

    def try_to(self, work: Awaitable[T]) -> T | None:
        with suppress(PgjitError):
            return self.run(work)
        return None

    def live(self) -> Request | None:
        fault, self.store.fault = self.store.fault, False
        page = self.run(self.store.requests(RequestFilter(), limit=1))
        self.store.fault = fault
        return page.items[0] if page.items else None

    @rule(minutes=st.integers(-30, 90))
    def time_passes(self, minutes: int) -> None:
        self.now += minutes * MINUTE
        self.steady += max(minutes, 0) * 60
        self.latest = max(self.latest, self.now)

    @rule(reason=REASONS)
    def make(self, reason: str) -> None:
        own = frozenset({OWNER})
        made = self.requests.make(asker(), self.policy, self.policy.connection, reason=reason, belongs_to=own)
        self.try_to(made)

    @rule(person=PEOPLE, cap=st.sampled_from([None, 5 * MINUTE, 20 * MINUTE]))
    def approve(self, person: IdentityKey, cap: timedelta | None) -> None:
        if (request := self.live()) is not None:
            done = self.try_to(self.requests.approve(request.id, reviewer(person), ttl=cap))
            assert done is None or person in (CAROL, DAVE)

    @rule(person=PEOPLE)
    def refuse(self, person: IdentityKey) -> None:
        if (request := self.live()) is not None:
            done = self.try_to(self.requests.refuse(request.id, reviewer(person), reason="no"))
            assert done is None or person in (CAROL, DAVE)

    @rule(by=st.sampled_from([ALICE, CAROL]))
    def withdraw(self, by: IdentityKey) -> None:
        if (request := self.live()) is not None:
            done = self.try_to(self.requests.withdraw(request.id, by, request.ask.holder))
            assert done is None or by == ALICE

    @rule()
    def lapse(self) -> None:
        self.try_to(self.requests.lapse_due(self.clock()))

    @rule(reason=st.none() | REASONS, ttl=st.sampled_from([None, 10 * MINUTE]))
    def connect(self, reason: str | None, ttl: timedelta | None) -> None:
        ask = LoginAsk(reason=reason, ttl=ttl)
        admitted = self.try_to(self.store.admit(ALICE, self.policy, self.now, ask=ask))
        if admitted is None:
            return
        window, opened = admitted
        assert not [lock for lock in self.locks.values() if lock.in_force(self.now)]
        assert self.now < window.ends_at
        if opened:
            for earlier in self.granted.values():
                assert self.latest >= min(earlier.ends_at, effective_end(earlier, self.policy)) or earlier.revoked_at

    @rule()
    def connect_approved(self) -> None:
        """The way that leads to a window, so that runs get there."""
        self.make("schema diff")
        self.approve(CAROL, None)
        self.approve(DAVE, None)
        self.connect(None, None)

    @rule(minutes=st.sampled_from([10, 30, 120]))
    def change_policy(self, minutes: int) -> None:
        self.policy = replace(self.policy, version=f"v{next(self.versions)}", ttl=minutes * MINUTE)

    @rule(scope=SCOPES, until=st.none() | st.integers(1, 60))
    def lock(self, scope: Scope, until: int | None) -> None:
        ends = None if until is None else self.now + until * MINUTE
        lock = Lock(
            id=f"l_{len(self.locks)}", scope=scope, reason="incident", set_by=ADMIN, set_at=self.now, until=ends
        )
        with suppress(PgjitError):
            self.run(self.store.set_lock(lock))
            self.locks[lock.id] = lock

    @rule(scope=SCOPES)
    def connect_while_locked(self, scope: Scope) -> None:
        self.connect_approved()
        self.lock(scope, None)
        self.connect(None, None)
        self.unlock()

    @rule()
    def unlock(self) -> None:
        for lock in self.locks.values():
            if self.try_to(self.store.lift_lock(lock.id, ADMIN, "over", self.now)) is not None:
                self.locks[lock.id] = replace(lock, lifted_at=self.now)

    @rule(scope=SCOPES)
    def revoke(self, scope: Scope) -> None:
        self.try_to(self.store.revoke(scope, ADMIN, "it reads too much", self.now))

    @rule()
    def end_what_is_over(self) -> None:
        for window in self.try_to(self.store.unended()) or ():
            if self.now >= effective_end(window, self.policy):
                self.try_to(self.store.end(window.id, self.now, "ttl"))

    @rule()
    def crash(self) -> None:
        self.run(self.store.close())
        self.open_store()

    @rule()
    def next_transaction_fails(self) -> None:
        self.store.fault = True

    @invariant()
    def nothing_is_wrong(self) -> None:
        fault, self.store.fault = self.store.fault, False
        windows = self.run(self.store.windows(WindowFilter(), limit=1000)).items
        requests = self.run(self.store.requests(RequestFilter(), limit=1000)).items
        self._no_window_was_lengthened(windows)
        self._each_window_was_approved(windows, {each.id: each for each in requests})
        self._each_transition_has_its_record(requests)
        assert sum(each.state.live for each in requests) <= 1
        self.store.fault = fault

    def _no_window_was_lengthened(self, windows: tuple[Window, ...]) -> None:
        for window in windows:
            first = self.granted.setdefault(window.id, window)
            assert (window.opened_at, window.ends_at, window.retry_at) == (
                first.opened_at, first.ends_at, first.retry_at,
            )  # fmt: skip
            self.granted[window.id] = window

    def _each_window_was_approved(self, windows: tuple[Window, ...], requests: dict[str, Request]) -> None:
        assert len({window.request for window in windows}) == len(windows)
        for window in windows:
            assert window.request is not None
            request = requests[window.request]
            assert (request.state, request.window) == (RequestState.USED, window.id)
            people = {actor.key for actor in request.approvers}
            assert len(people) == 2
            assert people.isdisjoint(request.own)
            assert window.ends_at - window.opened_at <= request.ttl
            assert request.open_by is not None
            assert window.opened_at < request.open_by

    def _each_transition_has_its_record(self, requests: tuple[Request, ...]) -> None:
        entries = self.run(self.store.journal_outbox())
        for request in requests:
            of_request = [entry for entry in entries if entry.subject == request.id]
            kinds = [entry.kind for entry in of_request]
            assert kinds.count("request.made") == 1
            assert kinds.count("request.verdict") == len(request.verdicts)
            states = [REQUEST_TEXT.read(each.note).state for each in of_request if each.kind == "request.ended"]
            assert states[-1:] == ([] if request.state is RequestState.PENDING else [request.state])
        revoked = {entry.subject for entry in entries if entry.kind == "window.revoked"}
        assert revoked == {window.id for window in self.granted.values() if window.revoked_at is not None}

    def teardown(self) -> None:
        self.run(self.store.close())
        self.runner.close()
        if self.folder is not None:
            self.folder.cleanup()


class _OnPostgres(ReviewMachine):
    server: StoreServer

    def __init__(self) -> None:
        self.server.empty()
        super().__init__()

    def new_database(self) -> Database:
        return PostgresDatabase(self.server.login())


@pytest.mark.parametrize("examples", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_the_same_on_postgres(examples: int, store_server: StoreServer) -> None:
    class Machine(_OnPostgres):
        server = store_server

    run_state_machine_as_test(Machine, settings=settings(_SETTINGS, max_examples=examples))


@pytest.mark.slow
def test_the_same_for_longer() -> None:
    run_state_machine_as_test(ReviewMachine, settings=settings(_SETTINGS, max_examples=100))


@pytest.mark.parametrize(
    ("reason", "ticket", "reference"),
    [
        (None, "DBA-17", "reason-required"),
        ("diff", None, "reason-pattern"),
        ("diff", "DBA-17 and more", "reason-pattern"),
        ("diff", "DBA-" + "1" * 400, "reason-pattern"),
        ("diff", "DBA-17", None),
        ("DBA-17", None, None),
    ],
)
async def test_a_reason_has_the_form_that_the_policy_requires(
    tmp_path: Path, reason: str | None, ticket: str | None, reference: str | None
) -> None:
    store = SqlStore(SqliteDatabase(tmp_path / "windows.sqlite3"))
    await store.open()
    policy = reviewed_policy()
    policy = replace(policy, terms=replace(policy.terms, reason=ReasonTerms(required=True, pattern=r"DBA-\d+")))
    requests = Requests(store, Clock(wall=lambda: NOW), lambda _: policy)
    refused = None
    try:
        await requests.make(asker(), policy, policy.connection, reason=reason, ticket=ticket)
    except UnfitValue as fault:
        refused = fault.reference
    count = len((await store.requests(RequestFilter())).items)
    await store.close()
    assert (refused, count) == (reference, 0 if reference else 1)


ReviewMachine.TestCase.settings = _SETTINGS
TestReviewMachine = ReviewMachine.TestCase
