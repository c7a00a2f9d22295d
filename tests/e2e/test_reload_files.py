"""A reload of certificates, secrets and connections, and the ways to ask for one: the API, the command, the watch."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from pgjit.api.reload_result import ReloadRefused
from pgjit.cli.run import run
from pgjit.cli.status import Status
from pgjit.config import Config, load_config
from pgjit.demo.certificates import make_certificates
from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from pgjit.errors import JournalUnavailable
from tests.e2e.reloading import change_config, connect, edit_policy, outcome, reload
from tests.e2e.test_http_api import ADMINS, add_person, client, token_of
from tests.e2e.worlds import READERS, add_reader, add_writer, ask, change, open_world, records
from tests.run.waiting import until, until_it_holds

_AHEAD = "SELECT array_agg(pid) FROM pg_stat_activity WHERE application_name LIKE 'pgjit w\\_%'"
_CONTROL = "SELECT array_agg(pid) FROM pg_stat_activity WHERE application_name = 'pgjit control' AND usename = $1"


def _connections(database: DemoDatabase, folder: Path, **changes: object) -> dict[str, dict[str, object]]:
    secrets = {"prod-replica": database.password, "write-target": database.writer_password}
    for name, secret in secrets.items():
        (folder / f"{name}-login").write_text(secret)
    users = {"prod-replica": database.user, "write-target": database.writer}
    return {
        name: {
            "host": str(database.socket_dir), "port": database.port, "database": database.database,
            "user": users[name], "password": {"file": str(folder / f"{name}-login")}, "warm": 2,
            **(changes if name == "prod-replica" else {}),
        }
        for name in secrets
    }  # fmt: skip


@pytest.fixture
async def world(database: DemoDatabase, tmp_path: Path) -> AsyncIterator[World]:
    config: Mapping[str, object] = {
        "api": {"roles": {"admin": ADMINS}},
        "connections": _connections(database, tmp_path),
    }
    async with open_world(database, tmp_path, config=config) as opened:
        yield opened


async def _pids(world: World, query: str, *arguments: object) -> list[int]:
    found = await ask(world.database, query, *arguments)
    return sorted(found) if isinstance(found, list) else []


async def _served(world: World, port: int) -> bytes:
    """The certificate that a new handshake gets, whoever signed it."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    trusting.set_alpn_protocols(["postgresql"] if port == world.app.port else ["http/1.1"])
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
    try:
        found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return found
    finally:
        writer.transport.abort()


def _lasts(world: World) -> timedelta:
    """How long the certificate in force is still valid, as the metrics have it."""
    found = re.search(
        r'^pgjit_certificate_expiry_time_seconds{certificate="tls.certificate"} (\S+)$',
        world.app.telemetry.page().decode(),
        re.MULTILINE,
    )
    assert found is not None
    return datetime.fromtimestamp(float(found[1]), UTC) - datetime.now(UTC)


async def test_new_handshakes_get_the_new_certificate_and_open_sessions_go_on(world: World, tmp_path: Path) -> None:
    ports = (world.app.port, world.app.api_port)
    before = [await _served(world, port) for port in ports]
    async with await connect(world, await world.token(add_reader(world))) as agent:
        (tmp_path / "renewed").mkdir()
        renewed = make_certificates(tmp_path / "renewed", life=timedelta(days=30))
        shutil.copy(renewed.certificate, world.certificates.certificate)
        # The key does not go with it yet: nothing changes.
        assert not await world.app.reloading.attempt("signal")
        assert [await _served(world, port) for port in ports] == before
        assert timedelta(days=6) < _lasts(world) < timedelta(days=8)
        shutil.copy(renewed.key, world.certificates.key)
        shutil.copy(renewed.authority, world.certificates.authority)
        assert (await reload(world)).keys == ("tls",)
        expected = ssl.PEM_cert_to_DER_cert(
            renewed.certificate.read_text().split("-----END")[0] + "-----END CERTIFICATE-----\n"
        )
        assert [await _served(world, port) for port in ports] == [expected, expected]
        assert timedelta(days=29) < _lasts(world) < timedelta(days=31)
        assert await outcome(agent, "SELECT 1") == "ran"
    async with await connect(world, await world.token(add_reader(world))) as agent:
        assert await outcome(agent, "SELECT 1") == "ran"


async def test_no_login_of_before_outlives_a_changed_secret(world: World, tmp_path: Path) -> None:
    token = await world.token(add_reader(world))
    await (await connect(world, token)).close()
    role, database = world.database.user, world.database

    async def ahead() -> list[int]:
        return await _pids(world, _AHEAD)

    made = await until_it_holds(ahead)
    async with await connect(world, token) as agent:
        control = await _pids(world, _CONTROL, role)
        assert len(control) == 2
        await change(database, f"ALTER ROLE {role} PASSWORD 'another'")
        try:
            (tmp_path / "prod-replica-login").write_text("another")
            result = await reload(world)
            assert result.connections.changed == ("prod-replica",)
            assert (result.sessions_following, result.sessions_leaving) == (0, 0)

            async def replaced() -> bool:
                now = await _pids(world, _CONTROL, role)
                return len(now) == 2 and not set(now) & set(control) and not set(await ahead()) & set(made)

            await until_it_holds(replaced)
            assert await outcome(agent, "SELECT 1") == "ran"
            async with await connect(world, token) as other:
                assert await outcome(other, "SELECT 1") == "ran"
        finally:
            await change(database, f"ALTER ROLE {role} PASSWORD '{database.password}'")


async def test_logins_made_ahead_under_another_policy_are_dropped(world: World) -> None:
    token = await world.token(add_reader(world))
    await (await connect(world, token)).close()

    async def ahead() -> list[int]:
        return await _pids(world, _AHEAD)

    made = await until_it_holds(ahead)
    edit_policy(world, "reader", "access: read-only", "access: read-only\n  deny:\n    - columns: [customers.email]")
    await reload(world)

    async def gone() -> bool:
        return not set(await ahead()) & set(made)

    await until_it_holds(gone)


async def test_a_connection_is_added_moved_and_removed(world: World, tmp_path: Path, database: DemoDatabase) -> None:
    reader, writer = await world.token(add_reader(world)), await world.token(add_writer(world))
    old = _connections(database, tmp_path)
    agent, other = await connect(world, reader), await connect(world, writer, "writer", "write-target")
    # Added, with a policy for it.
    path = world.folder / "policies" / "third.yaml"
    path.write_text(
        (world.folder / "policies" / "reader.yaml").read_text().replace("policy: reader", "policy: third")
    )
    edit_policy(world, "third", "connection: prod-replica", "connection: third")
    change_config(world, connections={**old, "third": old["prod-replica"]})
    result = await reload(world)
    assert (result.connections.added, result.policies.added) == (("third",), ("third",))
    async with await connect(world, reader, "third", "third") as third:
        assert await outcome(third, "SELECT email FROM customers") == "ran"
    # Leads elsewhere: its sessions log in again, and join their window. Those of other connections go on.
    moved = _connections(database, tmp_path, search_path="pg_catalog")
    change_config(world, connections={**moved, "third": old["prod-replica"]})
    result = await reload(world)
    assert (result.connections.changed, result.sessions_leaving, result.windows) == (("prod-replica",), 1, ())
    assert await outcome(agent, "SELECT 1") == "pgjit:connection-changed"
    assert await outcome(other, "SELECT 1") == "ran"
    await agent.close()
    async with await connect(world, reader) as agent:
        row = await (await agent.execute("SHOW search_path")).fetchone()
        assert row == ("pg_catalog",)
    # Removed while a policy names it: a fault. Removed with its policy: gone.
    change_config(world, connections=moved)
    assert not await world.app.reloading.attempt("signal")
    path.unlink()
    result = await reload(world)
    assert (result.connections.removed, [each.reason for each in result.windows]) == (("third",), ["policy-deleted"])
    assert await outcome(other, "SELECT 1") == "ran"
    await other.close()


async def test_keys_that_need_a_restart_are_named_and_keep_their_values(world: World) -> None:
    change_config(world, listen={"host": "127.0.0.1", "port": 1}, log={"level": "debug"})
    result = await reload(world)
    assert (result.keys, result.restart) == (("log.level",), ("listen.port",))
    assert (await reload(world)).restart == ("listen.port",)
    assert [record["restart"] for record in records(world, "config.reloaded")] == [["listen.port"]] * 2


async def test_an_admin_reloads_by_the_command(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in world.api_settings.items():
        monkeypatch.setenv(name, value)
    ann = add_person(world, "ann", ADMINS)
    monkeypatch.setenv("PGJIT_TOKEN", token_of(world, ann))
    edit_policy(world, "reader", "ttl: 30m", "ttl: 20m")
    assert await asyncio.to_thread(run, ["reload"]) == Status.OK
    assert capsys.readouterr().out.startswith("policy reader is changed\n")
    edit_policy(world, "reader", "ttl: 20m", "ttl: soon")
    assert await asyncio.to_thread(run, ["reload"]) == Status.INVALID
    error = capsys.readouterr().err
    assert "nothing was changed [reload-refused]" in error
    assert "reader.yaml:5:1: `ttl`" in error
    assert await asyncio.to_thread(run, ["reload", "--json"]) == Status.INVALID
    [fault] = json.loads(capsys.readouterr().out)["faults"]
    assert (Path(fault["file"]).name, fault["line"], fault["column"]) == ("reader.yaml", 5, 1)
    [reloaded] = records(world, "config.reloaded")
    by = reloaded["by"]
    assert isinstance(by, dict)
    assert (by["oid"], by["via"]) == (ann.oid, "api")
    assert len(records(world, "config.refused")) == 2
    async with client(world, token_of(world, ann)) as api:
        standing = (await api.get("reload")).json()
        assert standing["refused_at"] > standing["in_force_since"]
        assert ["reader.yaml:5:1: `ttl`" in each for each in standing["faults"]] == [True]
        edit_policy(world, "reader", "ttl: soon", "ttl: 25m")
        assert (await api.post("reload")).status_code == 200
        standing = (await api.get("reload")).json()
        assert (standing["refused_at"], standing["faults"]) == (None, [])


async def test_nobody_else_reloads(world: World) -> None:
    async with client(world, token_of(world, add_person(world, "rick", READERS))) as api:
        refused = await api.post("reload")
    assert (refused.status_code, refused.json()["reference"]) == (403, "role-required")
    assert records(world, "config.reloaded") == []


async def test_the_watch_reloads_what_changed(database: DemoDatabase, tmp_path: Path) -> None:
    config = {"connections": _connections(database, tmp_path), "reload": {"watch": True, "every": 1}}
    async with open_world(database, tmp_path, config=config) as world:
        edit_policy(
            world, "reader", "access: read-only", "access: read-only\n  deny:\n    - columns: [customers.email]"
        )
        [record] = await until(lambda: records(world, "config.reloaded"))
        assert (record["trigger"], record["changed"]) == ("watch", ["policy reader"])
        async with await connect(world, await world.token(add_reader(world))) as agent:
            assert await outcome(agent, "SELECT email FROM customers") == "pgjit:denied"


async def test_roles_of_the_api_are_those_of_now(world: World) -> None:
    ann = add_person(world, "ann", ADMINS)
    async with client(world, token_of(world, ann)) as api:
        change_config(world, api={**_api(world), "roles": {"auditor": ADMINS}})
        changed = await api.post("reload")
        assert (changed.status_code, changed.json()["keys"]) == (200, ["api.roles"])
        refused = await api.post("reload")
        assert (refused.status_code, refused.json()["reference"]) == (403, "role-required")
        assert (await api.get("sessions")).status_code == 200


def _api(world: World) -> dict[str, object]:
    section: dict[str, object] = yaml.safe_load(world.config_file.read_text())["api"]
    return section


async def test_files_that_change_while_they_are_read_are_read_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise one policy could be of before a change, and another of after it."""
    readings = 0

    def changing(path: Path) -> Config:
        nonlocal readings
        readings += 1
        config = load_config(path)
        if readings != 3:
            edit_policy(world, "reader", "record: true", "# changed\nrecord: true")
        return config

    monkeypatch.setattr("pgjit.app.reload.load_config", changing)
    result = await reload(world)
    assert (readings, result.policies.changed) == (3, ("reader",))
    readings = 3
    with pytest.raises(ReloadRefused) as refused:
        await reload(world)
    assert (readings, "files change while they are read" in refused.value.faults[0]) == (6, True)


async def test_what_cannot_be_recorded_is_not_in_force(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = world.app._services.journal

    def full(_events: object) -> None:
        raise JournalUnavailable

    async with await connect(world, await world.token(add_reader(world))) as agent:
        edit_policy(world, "reader", "ttl: 30m", "ttl: 20m")
        monkeypatch.setattr(journal, "append", full)
        with pytest.raises(ReloadRefused, match="nothing was changed"):
            await reload(world)
        monkeypatch.undo()
        assert world.app._services.policies["reader"].ttl == timedelta(minutes=30)
        assert await outcome(agent, "SELECT 1") == "ran"
        await reload(world)
        assert world.app._services.policies["reader"].ttl == timedelta(minutes=20)


async def test_a_policy_may_be_deleted_during_the_drain(database: DemoDatabase, tmp_path: Path) -> None:
    """Running statements have a minute, and those of a deleted policy have not."""
    config = {"connections": _connections(database, tmp_path), "limits": {"drain_seconds": 600}}
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(open_world(database, tmp_path, config=config))
        agent = await connect(world, await world.token(add_reader(world)))
        running = asyncio.create_task(outcome(agent, "SELECT pg_sleep(600)"))

        async def runs() -> object:
            return await ask(database, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%sleep(600)'")

        await until_it_holds(runs)
        stopping = asyncio.create_task(stack.aclose())
        await until(lambda: not world.app._listener.accepting)
        (world.folder / "policies" / "reader.yaml").unlink()
        assert [each.reason for each in (await reload(world)).windows] == ["policy-deleted"]
        assert await running == "pgjit:policy-deleted"
        await stopping
        await agent.close()
