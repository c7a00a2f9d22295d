"""From a host name to a link: addresses, the start of TLS, and certificate checks."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from pgjit.server.dial import Address, dial, resolve
from pgjit.server.link import Link
from pgjit.server.login_error import LoginAttempt, LoginFailed
from pgjit.server.target import Host, Keepalive, SslMode
from pgwire.messages.startup import EncryptionRequest
from tests.fakes.certificate_authority import Authority, Pair
from tests.fakes.scripted_server import Peer, ScriptedServer, Step, close, send, tls, until_left
from tests.fakes.targets import address_of, target_at


async def _dial(server: ScriptedServer, **changes: Any) -> Link:
    return await dial(target_at(server, **changes), address_of(server), LoginAttempt("here"))


async def _failure(*script: Step, **changes: Any) -> LoginFailed:
    async with ScriptedServer([*script, until_left()]) as server:
        with pytest.raises(LoginFailed) as failed:
            await _dial(server, **{"sslmode": SslMode.REQUIRE, **changes})
        await asyncio.wait_for(server.peers[0].left.wait(), 5)
    return failed.value


async def _asked_for_tls(peer: Peer) -> None:
    assert await peer.first_message() == EncryptionRequest(gss=False)


def _context(pair: Pair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    return context


@pytest.mark.parametrize(
    ("host", "text"),
    [
        (Host("db.internal", 5433), "db.internal:5433"),
        (Host("::1"), "[::1]:5432"),
        (Host("/run/postgresql", 5433), "/run/postgresql/.s.PGSQL.5433"),
    ],
)
def test_hosts_read_as_people_write_them(host: Host, text: str) -> None:
    assert str(host) == text


def test_an_address_shows_which_address_of_a_name_it_is() -> None:
    assert str(Address(Host("db"), socket.AF_INET, ("10.0.0.1", 5432))) == "db:5432 (10.0.0.1)"
    assert str(Address(Host("10.0.0.1"), socket.AF_INET, ("10.0.0.1", 5432))) == "10.0.0.1:5432"
    assert str(Address(Host("/tmp"), socket.AF_UNIX, "/tmp/.s.PGSQL.5432")) == "/tmp/.s.PGSQL.5432"


async def test_a_name_has_all_its_addresses_once_each() -> None:
    addresses = await resolve(Host("localhost", 5433))
    assert {address.sockaddr[0] for address in addresses} <= {"127.0.0.1", "::1"}
    assert len(addresses) == len(set(addresses)) > 0


@pytest.mark.parametrize("name", ["no-such-name.invalid", "a" * 300, "a..b", "\ud800"])
async def test_a_name_that_does_not_exist_is_a_failed_step(name: str) -> None:
    with pytest.raises(LoginFailed) as failed:
        await resolve(Host(name))
    assert (failed.value.step, failed.value.try_next) == ("resolving", True)


async def test_a_port_that_nobody_listens_on_moves_on() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        address = Address(Host("127.0.0.1"), socket.AF_INET, taken.getsockname())
        with pytest.raises(LoginFailed) as failed:
            await dial(target_at(hosts=(address.host,)), address, LoginAttempt(str(address)))
    assert (failed.value.step, failed.value.try_next) == ("connecting", True)


async def test_a_unix_socket_that_is_not_there_moves_on(tmp_path: Path) -> None:
    (address,) = await resolve(Host(str(tmp_path)))
    with pytest.raises(LoginFailed) as failed:
        await dial(target_at(hosts=(address.host,)), address, LoginAttempt("here"))
    assert (failed.value.step, failed.value.reason) == ("connecting", "No such file or directory")


# --- TLS -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [SslMode.REQUIRE, SslMode.VERIFY_CA, SslMode.VERIFY_FULL])
@pytest.mark.parametrize("answer", [b"N", b"E", b"G", b"s", b"\0"])
async def test_no_answer_but_s_starts_tls_and_nothing_is_sent_then(mode: SslMode, answer: bytes) -> None:
    async with ScriptedServer([_asked_for_tls, send(answer), until_left()]) as server:
        with pytest.raises(LoginFailed) as failed:
            await _dial(server, sslmode=mode)
        await asyncio.wait_for(server.peers[0].left.wait(), 5)
        assert server.peers[0].rest == b""
    assert str(failed.value) == "here: starting TLS: the server does not offer TLS"
    assert not failed.value.try_next


async def test_a_server_that_leaves_in_place_of_an_answer_moves_on() -> None:
    for reset in (False, True):
        failed = await _failure(_asked_for_tls, close(reset=reset))
        assert (failed.step, failed.try_next) == ("starting TLS", True)


async def test_a_failed_handshake_is_reported_with_the_reason_of_openssl() -> None:
    failed = await _failure(_asked_for_tls, send(b"S" + b"E\0\0\0\x10SFATAL\0\0" * 4))
    assert (failed.step, failed.reason, failed.try_next) == ("starting TLS", "wrong version number", False)


async def test_bytes_that_a_forger_puts_before_tls_are_not_read_after_it(tmp_path: Path) -> None:
    pair = Authority(tmp_path).server("127.0.0.1")

    async def stuffed(peer: Peer) -> None:
        await _asked_for_tls(peer)
        await peer.write(b"S" + b"R\0\0\0\x08\0\0\0\0")
        await peer.writer.start_tls(_context(pair))

    failed = await _failure(stuffed)
    assert failed.step == "starting TLS"


async def test_a_certificate_is_checked_as_sslmode_requires(tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path), Authority(tmp_path, "stranger")
    pair = authority.server("db.internal")
    mine, other = str(authority.root), str(stranger.root)
    for mode, root, reason in (
        (SslMode.REQUIRE, None, None),
        (SslMode.REQUIRE, mine, None),
        (SslMode.REQUIRE, other, "unable to get local issuer certificate"),
        (SslMode.VERIFY_CA, mine, None),
        (SslMode.VERIFY_CA, other, "unable to get local issuer certificate"),
        (SslMode.VERIFY_CA, None, "unable to get local issuer certificate"),
        (SslMode.VERIFY_FULL, mine, "IP address mismatch, certificate is not valid for '127.0.0.1'."),
        (SslMode.VERIFY_FULL, other, "unable to get local issuer certificate"),
    ):
        if reason is None:
            async with ScriptedServer([tls(_context(pair)), until_left()]) as server:
                (await _dial(server, sslmode=mode, sslrootcert=root)).abort()
        else:
            failed = await _failure(tls(_context(pair)), sslmode=mode, sslrootcert=root)
            assert (failed.step, failed.reason, failed.try_next) == ("verifying certificate", reason, False)


async def test_certificate_files_that_were_changed_are_read_again(tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger")
    authority = Authority(tmp_path)
    pair = authority.server("127.0.0.1")
    root = tmp_path / "root.crt"
    root.write_bytes(stranger.root.read_bytes())
    failed = await _failure(tls(_context(pair)), sslmode=SslMode.VERIFY_FULL, sslrootcert=str(root))
    assert failed.step == "verifying certificate"
    root.write_bytes(authority.root.read_bytes() + b"\n")
    async with ScriptedServer([tls(_context(pair)), until_left()]) as server:
        (await _dial(server, sslmode=SslMode.VERIFY_FULL, sslrootcert=str(root))).abort()


async def test_unusable_certificate_files_are_reported(tmp_path: Path) -> None:
    pair = Authority(tmp_path).client("ann")
    other = Authority(tmp_path).client("bob")
    text = tmp_path / "text"
    text.write_text("no certificate")
    key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    for files, reason in (
        ({"sslrootcert": str(tmp_path / "gone")}, "No such file or directory"),
        ({"sslrootcert": str(text)}, "no certificate or crl found"),
        ({"sslcert": str(pair.certificate), "sslkey": str(other.key)}, "key values mismatch"),
        ({"sslcert": str(pair.certificate), "sslkey": str(locked)}, "the private key is protected by a passphrase"),
    ):
        async with ScriptedServer([]) as server:
            with pytest.raises(LoginFailed) as failed:
                await _dial(server, sslmode=SslMode.VERIFY_FULL, **files)
            assert server.peers == [], "nothing is connected to in vain"
        assert (failed.value.step, failed.value.reason) == ("reading certificates", reason)


async def test_a_client_certificate_is_shown_to_a_server_that_asks(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair, mine = authority.server("127.0.0.1"), authority.client("ann")
    context = _context(pair)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.root)
    shown: list[bytes] = []

    async def look(peer: Peer) -> None:
        shown.append(peer.writer.get_extra_info("ssl_object").getpeercert(binary_form=True))

    async with ScriptedServer([tls(context), look, until_left()]) as server:
        link = await _dial(server, sslmode=SslMode.REQUIRE, sslcert=str(mine.certificate), sslkey=str(mine.key))
        link.write(b"x")
        link.abort()
        await asyncio.wait_for(server.peers[0].left.wait(), 5)
    certificate = x509.load_pem_x509_certificate(mine.certificate.read_bytes())
    assert shown == [certificate.public_bytes(serialization.Encoding.DER)]


# --- sockets ---------------------------------------------------------------------------------------------


async def _option(keepalive: Keepalive, level: int, name: int) -> int:
    async with ScriptedServer([until_left()]) as server:
        link = await _dial(server, keepalive=keepalive)
        with socket.socket(fileno=os.dup(link.descriptor)) as same:
            value = same.getsockopt(level, name)
        link.abort()
    return value


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="not an option of this system")
async def test_a_dead_link_is_noticed_by_the_sockets_own_means() -> None:
    tcp = socket.IPPROTO_TCP
    assert await _option(Keepalive(), socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    given = Keepalive(idle=11, interval=7, count=4, user_timeout=9000)
    assert await _option(given, tcp, socket.TCP_KEEPIDLE) == 11
    assert await _option(given, tcp, socket.TCP_KEEPINTVL) == 7
    assert await _option(given, tcp, socket.TCP_KEEPCNT) == 4
    assert await _option(given, tcp, socket.TCP_USER_TIMEOUT) == 9000
    assert await _option(Keepalive(0, 0, 0, 0), tcp, socket.TCP_USER_TIMEOUT) == 0


_OPEN_FILES = Path("/proc/self/fd")


@pytest.mark.skipif(not _OPEN_FILES.exists(), reason="no list of open files on this system")
async def test_a_failed_dial_leaves_no_socket_open() -> None:
    before = len(list(_OPEN_FILES.iterdir()))
    for _ in range(5):
        await _failure(_asked_for_tls, send(b"N"))
        await _failure(_asked_for_tls, send(b"S" + b"nonsense"))
    assert len(list(_OPEN_FILES.iterdir())) <= before + 2, "what the loop has yet to close"
