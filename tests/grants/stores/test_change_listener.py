"""The connection on which nodes send each other messages: to all, past transactions, and again after a loss."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from pgjit.errors import ServerUnavailable
from pgjit.grants.stores.postgres_database import PostgresDatabase
from tests.fakes.store_server import StoreServer
from tests.run.waiting import until, until_it_holds

LONGEST = "x" * 400


@pytest.fixture
async def nodes(store_server: StoreServer) -> AsyncIterator[tuple[PostgresDatabase, PostgresDatabase]]:
    one, two = PostgresDatabase(store_server.login()), PostgresDatabase(store_server.login())
    await one.open()
    await two.open()
    yield one, two
    await one.close()
    await two.close()


async def _sent(by: PostgresDatabase, text: str) -> bool:
    try:
        await by.send_message(text)
    except ServerUnavailable:
        return False
    return True


async def test_a_message_reaches_all_nodes_and_waits_for_no_transaction(
    nodes: tuple[PostgresDatabase, ...], store_server: StoreServer
) -> None:
    heard: list[list[str]] = [[], []]
    for node, texts in zip(nodes, heard, strict=True):
        node.on_message(texts.append)
    for node in nodes:
        await until_it_holds(lambda node=node: _sent(node, "begin"))  # type: ignore[misc]
    for texts in heard:
        await until(lambda texts=texts: "begin" in texts)  # type: ignore[misc]
    async with store_server.turn_taken():
        await asyncio.gather(*(nodes[0].send_message(text) for text in ("a", "b", LONGEST)))
        for texts in heard:
            await until(lambda texts=texts: texts[-3:] == ["a", "b", LONGEST])  # type: ignore[misc]


async def test_after_a_lost_connection_messages_are_sent_and_received_again(
    nodes: tuple[PostgresDatabase, ...], store_server: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgjit.grants.stores.change_listener._AGAIN_SECONDS", 0.01)
    heard: list[str] = []
    nodes[1].on_message(heard.append)
    await until_it_holds(lambda: _sent(nodes[0], "before"))
    store_server.refuse_connections()
    try:
        await until_it_holds(lambda: _fails(nodes[0]))
    finally:
        store_server.accept_connections()

    async def again() -> bool:
        return await _sent(nodes[0], "after") and "after" in heard

    await until_it_holds(again)


async def _fails(node: PostgresDatabase) -> bool:
    return not await _sent(node, "lost")
