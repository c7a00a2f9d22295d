"""PostgreSQL under several nodes: races, transactions that are run again, lost connections and notifications."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import sqlalchemy as sa

from pgjit.errors import ServerUnavailable
from pgjit.grants.listing import RequestFilter, WindowFilter
from pgjit.grants.request import RequestState
from pgjit.grants.request_lifecycle import approve, refuse
from pgjit.grants.request_refusals import RequestDecided
from pgjit.grants.scope import Scope, ScopeKind
from pgjit.grants.standing_orders import SessionKill
from pgjit.grants.stores.database import BUSY_SECONDS
from pgjit.grants.stores.postgres_database import PostgresDatabase
from pgjit.grants.stores.schema import clock
from pgjit.grants.stores.sql import SqlStore
from pgjit.identity.identity import IdentityKey
from tests.contracts.store import ALICE, HOUR, NOW, POLICY
from tests.fakes.stalling_socket import StallingSocket
from tests.fakes.store_server import StoreServer
from tests.grants.review_cast import ADMIN, CAROL, DAVE, request, reviewer
from tests.run.waiting import until

KILL = SessionKill(session_id="s_1", reason="it hangs", by=ADMIN, at=NOW)


@pytest.fixture
async def nodes(store_server: StoreServer) -> AsyncIterator[tuple[SqlStore, SqlStore]]:
    one, two = store_server.store("one"), store_server.store("two")
    await one.open()
    await two.open()
    yield one, two
    await one.close()
    await two.close()


@pytest.fixture
async def database(store_server: StoreServer) -> AsyncIterator[PostgresDatabase]:
    database = PostgresDatabase(store_server.login())
    await database.open()
    yield database
    await database.close()


def _people(count: int) -> list[IdentityKey]:
    return [IdentityKey(ALICE.tid, f"{number:08}-aaaa-4aaa-8aaa-aaaaaaaaaaaa") for number in range(count)]


# --- logins, many at once ---------------------------------------------------------------------------------


async def test_a_login_that_joins_a_window_waits_for_no_turn_and_for_one_answer(
    nodes: tuple[SqlStore, ...], store_server: StoreServer
) -> None:
    """Else many at once would wait for each other until they are refused as busy."""
    store, other = nodes
    window, _ = await store.admit(ALICE, POLICY, NOW, note="opened")
    statements: list[str] = []
    assert isinstance(store._database, PostgresDatabase)
    assert store._database._engine is not None
    engine = store._database._engine.sync_engine
    sa.event.listen(engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    async with store_server.turn_taken():
        joins = await asyncio.gather(*(store.admit(ALICE, POLICY, NOW) for _ in range(60)))
        assert joins == [(window, False)] * 60
        assert len(statements) == 60
        # The first login of another node notes that it has the window: that takes its turn.
        elsewhere = asyncio.create_task(other.admit(ALICE, POLICY, NOW))
        # A second later one login notes the moment, and the others do not wait for it.
        late = [asyncio.create_task(store.admit(ALICE, POLICY, NOW + HOUR / 60)) for _ in range(20)]
        async with asyncio.timeout(BUSY_SECONDS):
            await until(lambda: sum(task.done() for task in late) == 19)
        assert not elsewhere.done()
    assert {(await task)[1] for task in (elsewhere, *late)} == {False}
    assert await store.clock_floor() == NOW + HOUR / 60


async def test_a_login_that_opens_a_window_takes_few_statements(nodes: tuple[SqlStore, ...]) -> None:
    store = nodes[0]
    statements: list[str] = []
    assert isinstance(store._database, PostgresDatabase)
    assert store._database._engine is not None
    engine = store._database._engine.sync_engine
    await store.admit(CAROL, POLICY, NOW, note="opened")
    sa.event.listen(engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    await store.admit(ALICE, POLICY, NOW, note="opened")
    # What it may join; its turn, what is known, the window, the node that has it, the record.
    assert [each.split()[0] for each in statements] == ["SELECT"] * 3 + ["INSERT"] * 3


# --- races ------------------------------------------------------------------------------------------------


async def test_two_nodes_that_open_at_once_open_one_window_for_each_identity(nodes: tuple[SqlStore, ...]) -> None:
    people = _people(6)
    logins = [(person, node) for person in people for node in nodes * 2]
    admitted = await asyncio.gather(*(node.admit(person, POLICY, NOW, note="opened") for person, node in logins))
    assert [opened for _, opened in admitted].count(True) == len(people)
    assert len({window.id for window, _ in admitted}) == len(people)
    entries = [entry for node in nodes for entry in await node.outbox()]  # each node writes what it opened
    assert {entry.window.id for entry in entries} == {window.id for window, _ in admitted}
    assert len(entries) == len(people)


async def test_two_nodes_that_revoke_at_once_revoke_once_and_say_it_once(nodes: tuple[SqlStore, ...]) -> None:
    window, _ = await nodes[0].admit(ALICE, POLICY, NOW)
    scope = Scope(ScopeKind.ALL)
    revoked = await asyncio.gather(*(node.revoke(scope, ADMIN, "incident", NOW) for node in nodes * 3))
    assert [one.id for each in revoked for one in each] == [window.id]
    entries = [entry for node in nodes for entry in await node.journal_outbox()]
    assert [entry.subject for entry in entries] == [window.id]


async def test_an_opening_that_races_a_revocation_is_before_it_or_refused(nodes: tuple[SqlStore, ...]) -> None:
    await nodes[0].admit(ALICE, POLICY, NOW)
    scope = Scope(ScopeKind.ALL)
    joined, _ = await asyncio.gather(
        nodes[0].admit(ALICE, POLICY, NOW), nodes[1].revoke(scope, ADMIN, "incident", NOW), return_exceptions=True
    )
    [window] = (await nodes[0].windows(WindowFilter())).items
    assert window.revoked_at == NOW
    assert isinstance(joined, tuple) or joined.reference == "window-revoked"  # type: ignore[attr-defined]


async def test_an_approval_and_a_refusal_on_two_nodes_agree_on_the_first(nodes: tuple[SqlStore, ...]) -> None:
    one, two = nodes
    made = await one.file_request(request(), NOW, at_most=5)
    results = await asyncio.gather(
        one.change_request(made.id, lambda each: approve(each, reviewer(CAROL), NOW), NOW),
        two.change_request(made.id, lambda each: refuse(each, reviewer(DAVE), NOW, reason="no"), NOW),
        return_exceptions=True,
    )
    decided = await two.request(made.id)
    assert decided is not None
    assert len(decided.verdicts) == 1
    assert [type(each) for each in results].count(RequestDecided) == 1


async def test_the_same_question_on_two_nodes_makes_one_request(nodes: tuple[SqlStore, ...]) -> None:
    made = await asyncio.gather(
        *(node.file_request(request(f"r_{number}"), NOW, at_most=5) for number, node in enumerate(nodes * 3))
    )
    live = await nodes[0].requests(RequestFilter(states=(RequestState.PENDING,)))
    assert {each.id for each in made} == {live.items[0].id}
    assert len(live.items) == 1


async def test_the_clock_is_written_once_a_second_whoever_opens(nodes: tuple[SqlStore, ...]) -> None:
    await nodes[0].admit(ALICE, POLICY, NOW)
    before = await _clock_version(nodes[0])
    for person in _people(4):
        await nodes[1].admit(person, POLICY, NOW)
    assert await _clock_version(nodes[0]) == before


async def _clock_version(store: SqlStore) -> str:
    return str(await store._transaction(lambda each: each.execute(sa.text("SELECT xmin FROM clock")).scalar_one()))


# --- turns ----------------------------------------------------------------------------------------------------


async def test_transactions_of_all_nodes_run_one_after_the_other(store_server: StoreServer) -> None:
    databases = [PostgresDatabase(store_server.login()) for _ in range(2)]
    store_server.execute("INSERT INTO clock VALUES (1, 0)")

    def add_one(connection: sa.Connection) -> None:
        seen = connection.execute(sa.select(clock.c.seen_at)).scalar_one()
        connection.execute(sa.update(clock).values(seen_at=seen + 1))

    for each in databases:
        await each.open()
    await asyncio.gather(*(each.transaction(add_one) for each in databases * 10))
    for each in databases:
        await each.close()
    assert store_server.execute("SELECT seen_at FROM clock") == [(20,)]


async def test_many_logins_at_once_on_two_nodes_are_in_the_way_of_none(nodes: tuple[SqlStore, ...]) -> None:
    admitted = await asyncio.gather(
        *(nodes[number % 2].admit(person, POLICY, NOW) for number, person in enumerate(_people(40)))
    )
    assert all(opened for _, opened in admitted)


async def test_who_waits_for_its_turn_for_too_long_is_refused_and_does_nothing(
    database: PostgresDatabase, store_server: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgjit.grants.stores.postgres_database.BUSY_SECONDS", -4.5)  # and 5 to connect
    ran: list[None] = []
    async with store_server.turn_taken():
        with pytest.raises(ServerUnavailable) as refused:
            await database.transaction(lambda _: ran.append(None))
    assert "did not answer in time" in str(refused.value.detail)
    assert ran == []
    assert not database.usable
    await database.transaction(lambda _: ran.append(None))
    assert database.usable


async def test_a_lock_that_is_not_given_in_time_is_called_busy(database: PostgresDatabase) -> None:
    no_lock = sa.text("DO $$ BEGIN RAISE SQLSTATE '55P03'; END $$")
    with pytest.raises(ServerUnavailable) as refused:
        await database.transaction(lambda each: each.execute(no_lock))
    assert refused.value.detail == "other transactions kept the window store busy for too long"


async def test_a_node_that_hangs_in_a_transaction_loses_it_before_the_others_give_up(
    database: PostgresDatabase,
) -> None:
    show = sa.text("SELECT setting::int FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout'")
    assert 0 < await database.transaction(lambda each: each.execute(show).scalar_one()) < BUSY_SECONDS * 1000


@pytest.mark.parametrize("state", ["40001", "40P01"])
async def test_a_transaction_that_collides_is_run_again(database: PostgresDatabase, state: str) -> None:
    runs: list[None] = []

    def work(connection: sa.Connection) -> None:
        connection.execute(sa.insert(clock).values(id=1, seen_at=1))
        runs.append(None)
        if len(runs) < 3:
            connection.execute(sa.text(f"DO $$ BEGIN RAISE SQLSTATE '{state}'; END $$"))

    await database.transaction(work)
    assert len(runs) == 3


async def test_what_work_raises_leaves_nothing(database: PostgresDatabase, store_server: StoreServer) -> None:
    def work(connection: sa.Connection) -> None:
        connection.execute(sa.insert(clock).values(id=1, seen_at=1))
        raise KeyError("a fault")

    with pytest.raises(KeyError):
        await database.transaction(work)
    assert store_server.execute("SELECT * FROM clock") == []
    assert database.usable


# --- outages ------------------------------------------------------------------------------------------------


async def test_connections_that_were_ended_are_replaced_before_anybody_notices(
    nodes: tuple[SqlStore, ...], store_server: StoreServer
) -> None:
    await asyncio.gather(*(nodes[0].unended() for _ in range(5)))
    assert store_server.end_connections() >= 4
    assert (await nodes[0].admit(ALICE, POLICY, NOW))[1]
    assert not (await nodes[1].admit(ALICE, POLICY, NOW))[1]


async def test_a_commit_whose_outcome_is_not_known_is_not_run_again(
    database: PostgresDatabase, store_server: StoreServer
) -> None:
    runs = []

    def work(connection: sa.Connection) -> None:
        runs.append(connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one())
        store_server.execute(f"SELECT pg_terminate_backend({runs[-1]}, 5000)")

    with pytest.raises(ServerUnavailable) as refused:
        await database.transaction(work)
    assert "not known whether it was carried out" in str(refused.value.detail)
    assert len(runs) == 1


async def test_while_the_store_is_out_nothing_opens_and_then_it_does(
    nodes: tuple[SqlStore, ...], store_server: StoreServer
) -> None:
    one, _ = nodes
    store_server.refuse_connections()
    try:
        for _ in range(2):
            with pytest.raises(ServerUnavailable) as refused:
                await one.admit(ALICE, POLICY, NOW)
            assert refused.value.reference == "store-unavailable"
            assert "not currently accepting connections" in str(refused.value.detail)
            assert not one.usable
    finally:
        store_server.accept_connections()
    assert (await one.admit(ALICE, POLICY, NOW))[1]
    assert one.usable


async def test_a_server_that_stops_answering_costs_a_bounded_time(
    store_server: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with StallingSocket(store_server.login().hosts[0]) as between:
        store = SqlStore(
            PostgresDatabase(replace(store_server.login(), hosts=(between.address,), connect_timeout=0.3))
        )
        await store.open()
        between.stall()
        monkeypatch.setattr("pgjit.grants.stores.postgres_database.BUSY_SECONDS", 0.2)
        for _ in range(2):  # on a connection that is there, and on a new one
            with pytest.raises(ServerUnavailable) as refused:
                await store.admit(ALICE, POLICY, NOW)
            assert "did not answer" in str(refused.value.detail)
        between.go_on()
        monkeypatch.undo()
        assert (await store.admit(ALICE, POLICY, NOW + HOUR))[1]
        await store.close()


async def test_a_caller_that_is_cancelled_leaves_the_store_usable(nodes: tuple[SqlStore, ...]) -> None:
    task = asyncio.create_task(nodes[0].kill_session(KILL))
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await nodes[1].standing_orders(NOW)).kills == (KILL,)


# --- notifications ------------------------------------------------------------------------------------------


async def _woken(waiting: SqlStore, by: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """`waiting` sees what `by` does, without its poll."""
    monkeypatch.setattr("pgjit.grants.stores.postgres_database.POLL_SECONDS", 60)
    seen = await waiting.changes(0)
    waits = asyncio.create_task(waiting.changes(seen))
    await by.kill_session(replace(KILL, session_id=f"s_{seen}"))
    assert await asyncio.wait_for(waits, 30) != seen


async def test_a_change_on_one_node_wakes_the_others(
    nodes: tuple[SqlStore, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = nodes
    await _listening(one, two)
    await _woken(two, one, monkeypatch)
    await _woken(one, one, monkeypatch)


async def test_a_listener_whose_connection_was_ended_listens_again(
    nodes: tuple[SqlStore, ...], store_server: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = nodes
    monkeypatch.setattr("pgjit.grants.stores.change_listener._AGAIN_SECONDS", 0)
    await _listening(one, two)
    seen = await two.changes(0)
    store_server.end_connections()
    while await two.changes(seen) == seen:  # it listens again, and may have missed something
        pass
    await _woken(two, one, monkeypatch)


async def test_without_a_notification_the_wait_ends_all_the_same(
    nodes: tuple[SqlStore, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgjit.grants.stores.postgres_database.POLL_SECONDS", 0.01)
    await _listening(*nodes)
    seen = await nodes[0].changes(0)
    assert await nodes[0].changes(seen) == seen


async def _listening(*stores: SqlStore) -> None:
    """Each has noticed that it listens: the number begins at 1."""
    for store in stores:
        while await store.changes(1) == 1:
            pass
