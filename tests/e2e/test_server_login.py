"""The login to a real server with TLS on: every mode, every method, every way in which it is refused."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from pgjit.errors import ServerNotAccepting, ServerUnavailable
from pgjit.server.credential import FetchedSecret, FixedSecret, FromFile, RenewedSecret
from pgjit.server.dial import resolve
from pgjit.server.login_error import LoginFailed
from pgjit.server.servers import Backend, Servers
from pgjit.server.simple_query import QueryFailed, run_query
from pgjit.server.target import ChannelBinding, Host, SessionAttrs, SslMode, Target
from pgjit.server.upstream import Upstream, cancel_running, connect_upstream
from tests.e2e.clients import connect_asyncpg
from tests.e2e.tls_server import PASSWORD, TlsServer, binaries
from tests.e2e.worlds import add_reader, open_world, records
from tests.fakes.certificate_authority import Authority
from tests.run.journal_text import journal_text
from tests.run.waiting import until_it_holds

BINARIES = binaries()
pytestmark = pytest.mark.skipif(BINARIES is None, reason="no PostgreSQL with TLS on this machine")


@pytest.fixture(scope="module")
def server() -> Iterator[TlsServer]:
    assert BINARIES is not None
    served = TlsServer(BINARIES)
    try:
        served.start()
        yield served
    finally:
        served.stop()


@pytest.fixture(scope="module")
def standby(server: TlsServer) -> TlsServer:
    server.start_standby()
    return server


@pytest.fixture
def target(server: TlsServer) -> Target:
    return Target(
        name="shop",
        hosts=(Host("localhost", server.port),),
        database="postgres",
        user="scram",
        credential=FixedSecret(PASSWORD),
        sslrootcert=str(server.authority.root),
    )


def _but(target: Target, *hosts: Host, **changes: Any) -> Target:
    return dataclasses.replace(target, hosts=hosts or target.hosts, **changes)


async def _log_in(target: Target) -> Upstream:
    return await connect_upstream(target, (await resolve(target.hosts[0]))[-1], {})


async def _tls(upstream: Upstream) -> str:
    ((used,),) = await run_query(upstream.link, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    await upstream.leave()
    return {"t": "TLS", "f": "plain"}[used or ""]


async def _refused(target: Target) -> LoginFailed:
    with pytest.raises(LoginFailed) as failed:
        await _log_in(target)
    assert PASSWORD not in str(failed.value)
    return failed.value


# --- TLS -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [SslMode.REQUIRE, SslMode.VERIFY_CA, SslMode.VERIFY_FULL])
async def test_every_mode_with_tls_uses_it(target: Target, mode: SslMode) -> None:
    assert await _tls(await _log_in(_but(target, sslmode=mode))) == "TLS"


async def test_disable_logs_in_in_plain_text(target: Target) -> None:
    assert await _tls(await _log_in(_but(target, sslmode=SslMode.DISABLE))) == "plain"


async def test_require_checks_no_certificate_unless_a_ca_is_named(target: Target, tmp_path: Path) -> None:
    assert await _tls(await _log_in(_but(target, sslmode=SslMode.REQUIRE, sslrootcert=None))) == "TLS"
    stranger = str(Authority(tmp_path, "stranger").root)
    failed = await _refused(_but(target, sslmode=SslMode.REQUIRE, sslrootcert=stranger))
    assert failed.step == "verifying certificate"


@pytest.mark.parametrize("mode", [SslMode.VERIFY_CA, SslMode.VERIFY_FULL])
async def test_a_certificate_of_another_ca_is_refused(target: Target, tmp_path: Path, mode: SslMode) -> None:
    for root in (str(Authority(tmp_path, "stranger").root), None):
        failed = await _refused(_but(target, sslmode=mode, sslrootcert=root))
        assert failed.step == "verifying certificate"
        assert not failed.try_next


async def test_a_certificate_for_another_name_is_refused_by_verify_full_alone(
    target: Target, server: TlsServer
) -> None:
    elsewhere = _but(target, Host("127.0.0.2", server.port))
    failed = await _refused(elsewhere)
    assert failed.step == "verifying certificate"
    assert "127.0.0.2" in failed.reason
    assert await _tls(await _log_in(_but(elsewhere, sslmode=SslMode.VERIFY_CA))) == "TLS"


async def test_an_address_in_the_certificate_is_as_good_as_a_name(target: Target, server: TlsServer) -> None:
    assert await _tls(await _log_in(_but(target, Host("127.0.0.1", server.port)))) == "TLS"


async def test_a_server_without_tls_is_given_nothing(target: Target, server: TlsServer) -> None:
    server.sql("ALTER SYSTEM SET ssl = off", "SELECT pg_reload_conf()")
    try:

        async def not_offered() -> bool:  # the postmaster takes the new setting when it gets to it
            failed = await _refused(_but(target, sslmode=SslMode.REQUIRE, credential=FixedSecret("wrong")))
            return (failed.step, failed.reason) == ("starting TLS", "the server does not offer TLS")

        await until_it_holds(not_offered)
    finally:
        server.sql("ALTER SYSTEM RESET ssl", "SELECT pg_reload_conf()")

        async def offered() -> bool:
            with suppress(LoginFailed):
                return bool(await _tls(await _log_in(target)))
            return False

        await until_it_holds(offered)


async def test_a_client_certificate_is_shown_where_it_is_demanded(target: Target, server: TlsServer) -> None:
    for name, credential in (("certified", None), ("twice", FixedSecret(PASSWORD))):
        pair = server.authority.client(name)
        shown = _but(target, user=name, credential=credential, sslcert=str(pair.certificate), sslkey=str(pair.key))
        assert await _tls(await _log_in(shown)) == "TLS"
        failed = await _refused(_but(target, user=name, credential=credential))
        assert failed.sqlstate == "28000"
        assert "certificate" in failed.reason


async def test_a_client_certificate_of_another_ca_is_told_as_such(target: Target, tmp_path: Path) -> None:
    pair = Authority(tmp_path, "stranger").client("certified")
    failed = await _refused(
        _but(target, user="certified", sslcert=str(pair.certificate), sslkey=str(pair.key), credential=None)
    )
    assert failed.reason.startswith(
        "the server closed the connection right after TLS: does it accept this client certificate?"
    )


# --- methods ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["scram", "md5", "clear", "open"])
async def test_methods_inside_tls(target: Target, user: str) -> None:
    assert await _tls(await _log_in(_but(target, user=user))) == "TLS"


@pytest.mark.parametrize("user", ["scram", "md5"])
async def test_methods_that_do_not_show_the_password_work_in_plain_text(target: Target, user: str) -> None:
    assert await _tls(await _log_in(_but(target, user=user, sslmode=SslMode.DISABLE))) == "plain"


async def test_a_password_is_not_sent_in_clear_text_over_an_unencrypted_link(target: Target) -> None:
    failed = await _refused(_but(target, user="clear", sslmode=SslMode.DISABLE))
    assert failed.reason == "the server requests the password in clear text over an unencrypted link"


@pytest.mark.parametrize("user", ["scram", "clear"])
async def test_methods_on_a_unix_socket(target: Target, server: TlsServer, user: str) -> None:
    upstream = await _log_in(_but(target, Host(str(server.folder), server.port), user=user))
    assert await _tls(upstream) == "plain"


@pytest.mark.parametrize("user", ["scram", "md5", "clear"])
async def test_a_wrong_password_is_the_servers_no(target: Target, user: str) -> None:
    failed = await _refused(_but(target, user=user, credential=FixedSecret("wrong")))
    assert (failed.sqlstate, failed.try_next) == ("28P01", False)


async def test_channel_binding_is_used_and_can_be_required(target: Target) -> None:
    for binding in ChannelBinding:
        assert await _tls(await _log_in(_but(target, channel_binding=binding))) == "TLS"


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        ("open", "channel binding is required and the server requests no password"),
        ("md5", "channel binding is required and the server does not use SCRAM"),
        ("clear", "channel binding is required and the server does not use SCRAM"),
    ],
)
async def test_required_binding_takes_no_weaker_method(target: Target, user: str, reason: str) -> None:
    failed = await _refused(_but(target, user=user, channel_binding=ChannelBinding.REQUIRE))
    assert failed.reason == reason


# --- secrets that change ---------------------------------------------------------------------------------


async def test_a_file_is_read_at_every_login(target: Target, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("an old one\n")
    rotating = _but(target, credential=FromFile(secret))
    await _refused(rotating)
    secret.write_text(PASSWORD + "\n")
    assert await _tls(await _log_in(rotating)) == "TLS"


async def test_a_secret_that_the_server_refuses_is_asked_for_once_more(target: Target) -> None:
    now = 100.0
    given = ["an old one", PASSWORD]

    async def fetch() -> FetchedSecret:
        return FetchedSecret(given.pop(0), 300)

    renewed = RenewedSecret(fetch, now=lambda: now)
    assert await renewed.secret() == "an old one"
    now += 10
    assert await _tls(await _log_in(_but(target, credential=renewed))) == "TLS"
    assert given == []


# --- servers ---------------------------------------------------------------------------------------------


async def _where(servers: Servers) -> tuple[int, Backend]:
    backend = await servers.connect(lambda _: {"default_transaction_read_only": "on"}, 60)
    return backend.upstream.address.host.port, backend


@pytest.mark.parametrize(
    ("wanted", "standby_first", "expected"),
    [
        (SessionAttrs.ANY, True, "standby"),
        (SessionAttrs.ANY, False, "primary"),
        (SessionAttrs.PRIMARY, True, "primary"),
        (SessionAttrs.READ_WRITE, True, "primary"),
        (SessionAttrs.STANDBY, False, "standby"),
        (SessionAttrs.READ_ONLY, False, "standby"),
        (SessionAttrs.PREFER_STANDBY, False, "standby"),
    ],
)
async def test_the_server_that_is_wanted_is_found(
    target: Target, standby: TlsServer, wanted: SessionAttrs, standby_first: bool, expected: str
) -> None:
    hosts = [Host("127.0.0.1", standby.port), Host("127.0.0.1", standby.standby_port)]
    servers = Servers(_but(target, *(reversed(hosts) if standby_first else hosts), session_attrs=wanted))
    port, backend = await _where(servers)
    assert {standby.port: "primary", standby.standby_port: "standby"}[port] == expected
    # The control connection is to the very server that the session is on.
    sight, terminated = await backend.control.terminate(backend.process)
    assert terminated
    assert sight.instance.is_same_run(backend.process.instance)
    await backend.leave()
    await servers.close()


async def test_a_standby_will_do_for_prefer_standby_only_where_there_is_one(target: Target) -> None:
    servers = Servers(_but(target, session_attrs=SessionAttrs.PREFER_STANDBY))
    _, backend = await _where(servers)
    await backend.leave()
    await servers.close()
    servers = Servers(_but(target, session_attrs=SessionAttrs.STANDBY))
    with pytest.raises(ServerUnavailable) as told:
        await servers.connect(lambda _: {}, 60)
    assert "looking for a server that is standby: it is not a standby" in (told.value.detail or "")
    await servers.close()


async def test_a_host_that_is_down_or_unknown_is_passed_over(target: Target, server: TlsServer) -> None:
    hosts = (Host("127.0.0.1", 1), Host("no-such-name.invalid"), *target.hosts)
    servers = Servers(_but(target, *hosts))
    port, backend = await _where(servers)
    assert port == server.port
    await backend.leave()
    await servers.close()


async def test_a_refused_login_is_not_tried_on_the_next_host(target: Target, server: TlsServer) -> None:
    servers = Servers(
        _but(target, Host("127.0.0.1", 1), *target.hosts, *target.hosts, credential=FixedSecret("wrong"))
    )
    with pytest.raises(ServerUnavailable) as told:
        await servers.connect(lambda _: {}, 60)
    first, *rest = (told.value.detail or "").split("; ")
    assert first.startswith("127.0.0.1:1: connecting: ")
    assert [step for step in rest if "28P01" in step] == [rest[-1]]
    await servers.close()


async def test_no_slot_left_is_told_with_the_servers_own_sqlstate(target: Target) -> None:
    servers = Servers(_but(target, user="few"))
    with pytest.raises(ServerNotAccepting) as told:
        await servers.connect(lambda _: {}, 60)
    assert told.value.for_client().fields()["C"] == "53300"
    assert "too many connections" in (told.value.detail or "")
    assert "few" not in str(told.value.for_client().fields())
    await servers.close()


async def test_a_running_statement_is_cancelled_through_tls(target: Target) -> None:
    upstream = await _log_in(target)
    running = asyncio.create_task(run_query(upstream.link, "SELECT pg_sleep(30)"))
    watch = await _log_in(target)
    asleep = f"SELECT 1 FROM pg_stat_activity WHERE pid = {upstream.backend_pid} AND wait_event = 'PgSleep'"
    for _ in range(200):
        if await run_query(watch.link, asleep):
            break
    assert await cancel_running(upstream, 5)
    with pytest.raises(QueryFailed, match="57014"):
        await running
    await upstream.leave()
    await watch.leave()


# --- through the proxy -----------------------------------------------------------------------------------


def _world(database: DemoDatabase, folder: Path, server: TlsServer, **keys: object) -> World:
    secret = folder / "tls-secret"
    secret.write_text(PASSWORD)
    connection = {
        "host": "127.0.0.1",
        "port": server.port,
        "database": "postgres",
        "user": "scram",
        "password": {"file": str(secret)},
        "sslrootcert": str(server.authority.root),
        "channel_binding": "require",
        **keys,
    }
    connections = {"prod-replica": connection, "write-target": copy.deepcopy(connection)}
    return open_world(database, folder, config={"connections": connections, "limits": {"drain_seconds": 0.1}})


async def test_a_session_is_on_the_server_that_is_wanted_and_is_ended_there(
    database: DemoDatabase, standby: TlsServer, tmp_path: Path
) -> None:
    ports = [1, standby.port, standby.standby_port]
    world = _world(database, tmp_path, standby, host=["127.0.0.1"] * 3, port=ports, target_session_attrs="standby")
    here = "SELECT count(*) FROM pg_stat_activity WHERE application_name ~ '^pgjit [a-z2-7]{16}'"
    async with world:
        token = await world.token(add_reader(world))
        connection = await connect_asyncpg(world, token, "reader")
        assert await connection.fetchval("SELECT 1") == 1
        assert (standby.sql(here), standby.sql(here, standby=True)) == ("0\n", "1\n")
        waiting = asyncio.create_task(connection.fetchval("SELECT pg_sleep(60)"))
        await asyncio.sleep(0)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await waiting
    connection.terminate()
    (ended,) = records(world, "session.ended")
    proof = ended["proof"]
    assert isinstance(proof, dict)
    assert proof["gone"] is True
    assert standby.sql(here, standby=True) == "0\n"


async def test_a_client_reads_that_no_slot_is_left_and_the_journal_where(
    database: DemoDatabase, server: TlsServer, tmp_path: Path
) -> None:
    async with _world(database, tmp_path, server, user="few") as world:
        token = await world.token(add_reader(world))
        with pytest.raises(asyncpg.TooManyConnectionsError, match=r"^sorry, too many clients already\nHINT") as told:
            await connect_asyncpg(world, token, "reader")
    assert told.value.detail is None
    (refused,) = records(world, "login.refused")
    assert (refused["reference"], refused["sqlstate"]) == ("server-turns-away", "53300")
    assert "127.0.0.1" in str(refused["reason"])
    assert "too many connections for role" in str(refused["reason"])
    assert PASSWORD not in journal_text(world.journal)
