"""What makes a node not ready, and what is only a warning."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from pgjit.api.readiness import CheckResult, CheckState
from pgjit.app.readiness import ConnectionProbes, WatchedParts, readiness_checks
from pgjit.errors import ServerUnavailable
from pgjit.server.servers import Servers
from pgjit.telemetry.dependency import ExternalDependency
from tests.run.rows import table
from tests.run.waiting import until

OK, WARNING, FAILED = CheckState
NODE_FAULT = ServerUnavailable("this node opens no windows", reference="node-clock-ahead")


@dataclass
class PlayedServers:
    """The servers of a connection, as far as readiness looks at them."""

    dependency: ExternalDependency = field(default_factory=lambda: ExternalDependency("server", "shop"))
    connected: bool = True
    down: bool = False
    asked: int = 0

    async def check_reachable(self, deadline: float) -> None:
        self.asked += 1
        if self.down:
            raise ServerUnavailable("down", reference="server-unavailable", detail="10.0.0.5: refused")


class Part:
    """Any part of the application, with the attributes that a row changes."""

    def __init__(self, **attributes: object) -> None:
        self.__dict__.update(attributes)


@dataclass
class Played:
    folder: Path
    listener: Part = field(default_factory=lambda: Part(accepting=True, stopping=False, full=False, connections=3))
    node: Part = field(default_factory=lambda: Part(superseded=False, fault=None, ahead=timedelta()))
    store: Part = field(default_factory=lambda: Part(usable=True))
    upkeep: Part = field(default_factory=lambda: Part(space_low=False, waiting=0, held=0, archive_failing=False))
    kept: Part = field(default_factory=lambda: Part(orphans_remain=False))
    keys: ExternalDependency = field(default_factory=lambda: ExternalDependency("signing-keys", "https://issuer"))
    graph: ExternalDependency = field(default_factory=lambda: ExternalDependency("directory", "graph"))
    servers: PlayedServers = field(default_factory=PlayedServers)

    def __post_init__(self) -> None:
        self.journal = Part(name=str(self.folder), writable=True, unsynced=2)
        self.provider = Part(ready=True, key_ages={"https://issuer": 60.0}, dependencies=[self.keys])
        self.catalog = Part(latest=object(), age=4.0, dependency=ExternalDependency("catalog", "shop"))
        self.probes = ConnectionProbes({"shop": cast(Servers, self.servers)})
        parts: dict[str, Any] = {
            "listener": self.listener, "node": self.node, "store": self.store, "journal": self.journal,
            "upkeep": self.upkeep, "provider": self.provider, "kept_backends": self.kept,
            "memberships": Part(dependencies=[self.graph]), "servers": self.probes.servers,
            "catalogs": {"shop": self.catalog},
        }  # fmt: skip
        self.checks = readiness_checks(WatchedParts(**parts), self.probes)

    def results(self) -> dict[str, CheckResult]:
        return {each.name: each.look() for each in self.checks}


def test_a_healthy_node_passes_every_check(tmp_path: Path) -> None:
    results = Played(tmp_path).results()
    assert list(results) == [
        "listener", "node", "clock", "store", "journal", "journal-space", "journal-copies", "keys",
        "earlier-backends", "directory", "connection/shop", "catalog/shop",
    ]  # fmt: skip
    assert {each.state for each in results.values()} == {OK}
    assert {each.hint for each in results.values()} == {""}


@table(
    ("part", "attributes", "check", "state", "known"),
    [
        ("listener", {"accepting": False}, "listener", FAILED, "does not accept connections yet"),
        ("listener", {"accepting": False, "stopping": True}, "listener", FAILED, "pgjit is stopping"),
        ("listener", {"full": True}, "listener", WARNING, "no more are served"),
        ("node", {"superseded": True, "fault": NODE_FAULT}, "node", FAILED, "another process has taken its name"),
        ("node", {"fault": NODE_FAULT, "ahead": timedelta(seconds=9)}, "clock", FAILED, "9.000 s ahead"),
        ("node", {"ahead": timedelta(seconds=2)}, "clock", WARNING, "2.000 s ahead"),
        ("node", {"ahead": None}, "clock", OK, "no other clock"),
        ("store", {"usable": False}, "store", FAILED, "no window is opened"),
        ("journal", {"writable": False}, "journal", FAILED, "accepts no records"),
        ("journal", {"name": "/nowhere/at/all"}, "journal-space", WARNING, "cannot be looked at"),
        ("upkeep", {"space_low": True}, "journal-space", WARNING, "which is little"),
        (
            "upkeep",
            {"archive_failing": True, "waiting": 3},
            "journal-copies",
            WARNING,
            "3 segments wait for the archive",
        ),
        ("upkeep", {"held": 2}, "journal-copies", WARNING, "2 for the collector"),
        ("provider", {"ready": False}, "keys", FAILED, "not all keys were fetched"),
        ("provider", {"key_ages": {"https://issuer": 8000.0}}, "keys", WARNING, "8000 s ago"),
        ("kept", {"orphans_remain": True}, "earlier-backends", FAILED, "still run"),
        ("catalog", {"age": 600.0}, "catalog/shop", WARNING, "600 s ago"),
        ("catalog", {"latest": None}, "catalog/shop", OK, "no session has needed it yet"),
    ],
)
def test_one_part_decides_one_check(
    tmp_path: Path, part: str, attributes: dict[str, object], check: str, state: CheckState, known: str
) -> None:
    played = Played(tmp_path)
    for name, value in attributes.items():
        setattr(getattr(played, part), name, value)
    results = played.results()
    assert (results[check].state, known in results[check].known) == (state, True)
    assert bool(results[check].hint) == (state is not OK) or check == "listener"
    assert {name for name, each in results.items() if each.state is not OK} <= {check}


@table("dependency", ["keys", "graph"])
def test_a_source_that_fails_is_a_warning_with_its_reason(tmp_path: Path, dependency: str) -> None:
    played = Played(tmp_path)
    getattr(played, dependency).failed("no route to host")
    warnings = [each for each in played.results().values() if each.state is not OK]
    assert [(each.state, "no route to host" in each.known) for each in warnings] == [(WARNING, True)]


async def test_a_server_that_is_down_is_a_warning_also_if_it_is_the_only_one(tmp_path: Path) -> None:
    played = Played(tmp_path)
    played.servers.connected = False
    assert "not looked at yet" in played.results()["connection/shop"].known
    played.servers.down = True
    for _ in range(3):
        played.probes.begin()
    await until(lambda: "shop" in played.probes.faults)
    assert played.servers.asked == 1, "it is looked at every ten seconds at most, however many ask"
    result = played.results()["connection/shop"]
    assert (result.state, result.known) == (WARNING, "10.0.0.5: refused")
    assert not any(each.state is FAILED for each in played.results().values())
    await played.probes.close()


async def test_a_login_that_fails_is_a_warning_although_the_control_connection_is_up(tmp_path: Path) -> None:
    played = Played(tmp_path)
    played.servers.dependency.failed("too many clients already")
    result = played.results()["connection/shop"]
    assert (result.state, result.known) == (WARNING, "too many clients already")


async def test_probes_that_hang_end_with_the_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(_: float) -> None:
        await asyncio.Event().wait()

    played = Played(tmp_path)
    monkeypatch.setattr(played.servers, "check_reachable", hangs)
    played.probes.begin()
    await asyncio.sleep(0)
    await played.probes.close()
    assert played.probes.faults == {}
