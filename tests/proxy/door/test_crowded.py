"""All places are taken: it is said once, and those who come to be told hold nobody up."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from pgjit.proxy import listener
from pgjit.proxy.services import ProxyLimits
from tests.fakes.door import Door
from tests.fakes.scripted_client import ScriptedClient
from tests.run.waiting import until


async def test_that_all_places_are_taken_is_said_once_and_once_more_when_there_is_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "pgjit.listener"):
        async with Door(tmp_path, ProxyLimits(connections=3)) as door:
            clients = [await ScriptedClient.open(door.port) for _ in range(6)]
            await until(lambda: door.listener.connections >= 6)
            for client in clients:
                async with client:
                    pass
            await door.empty()
    said = [record.message for record in caplog.records]
    assert said == ["all 3 connections are taken: no more clients are served", "clients are served again"]


async def test_who_is_only_here_to_be_told_does_not_keep_that_place_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "_REFUSE_SECONDS", 0.05)
    async with Door(tmp_path, ProxyLimits(connections=1)) as door, await ScriptedClient.open(door.port):
        await until(lambda: door.listener.connections >= 1)
        async with await ScriptedClient.open(door.port) as silent:
            assert await silent.ended()
        await until(lambda: door.listener.connections <= 1)
