"""The messages of a login, against scripted servers: which are answered, and which end it."""

from __future__ import annotations

import asyncio
import ssl
import struct
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes

from pgjit.server.dial import resolve
from pgjit.server.login_error import LoginFailed
from pgjit.server.target import ChannelBinding, Host, SslMode
from pgjit.server.upstream import Upstream, connect_upstream
from pgwire.reader import BodyReader, message
from tests.fakes.certificate_authority import Authority, Pair
from tests.fakes.scripted_server import (
    KEY,
    OK,
    READY,
    ScriptedServer,
    Step,
    authentication,
    cut,
    expect,
    fatal,
    notice,
    send,
    startup,
    status,
    tls,
    until_left,
)
from tests.fakes.targets import PASSWORD, WELCOME, address_of, logged_in, scram, target_at

SASL = authentication(10, b"SCRAM-SHA-256\0\0")


async def _log_in(server: ScriptedServer, **changes: Any) -> Upstream:
    return await connect_upstream(target_at(server, **changes), address_of(server), {"x.y": "z"})


async def _failure(*script: Step, **changes: Any) -> LoginFailed:
    """How the login fails; the password must not have been shown, and the link is closed."""
    async with ScriptedServer([*script, until_left()]) as server:
        with pytest.raises(LoginFailed) as failed:
            await _log_in(server, **changes)
        await asyncio.wait_for(server.peers[0].left.wait(), 5)
        sent = server.peers[0].rest + b"".join(frame.raw for frame in server.peers[0].frames)
    assert PASSWORD.encode() not in sent
    assert PASSWORD not in str(failed.value)
    return failed.value


async def test_the_startup_packet_holds_the_given_parameters_and_nothing_else() -> None:
    async with ScriptedServer([*logged_in(), until_left()]) as server:
        upstream = await _log_in(server)
        assert server.peers[0].startup.parameters == {"user": "ann", "database": "shop", "x.y": "z"}
        assert (upstream.backend_pid, upstream.secret) == (4242, struct.pack("!i", 0x5EC4E7))
        assert upstream.server_version == "18.1"
        upstream.link.abort()


async def test_notices_before_and_after_authentication_reach_the_client() -> None:
    before, after = notice("welcome"), notice("be careful")
    script = [startup(), send(before, OK, after, status("a", "b"), KEY, READY), until_left()]
    async with ScriptedServer(script) as server:
        upstream = await _log_in(server)
        assert upstream.greeting == before + after + status("a", "b")
        upstream.link.abort()


async def test_a_login_in_pieces_of_one_byte_is_the_same_login() -> None:
    script = [startup(), *(send(WELCOME[at : at + 1]) for at in range(len(WELCOME))), until_left()]
    async with ScriptedServer(script) as server:
        upstream = await _log_in(server)
        assert upstream.backend_pid == 4242
        upstream.link.abort()


async def test_a_login_that_is_cut_anywhere_fails_and_may_be_tried_elsewhere() -> None:
    for at in range(len(WELCOME)):
        failed = await _failure(startup(), cut(WELCOME, at))
        assert failed.reason == "the server closed the connection"
        assert failed.try_next


@pytest.mark.parametrize(
    ("script", "step"),
    [
        ([], "authenticating"),
        ([startup(), send(SASL)], "authenticating"),
        ([startup(), send(OK, KEY)], "logging in"),
    ],
)
async def test_a_silent_server_is_given_up_on_with_the_step_it_was_at(script: list[Step], step: str) -> None:
    failed = await _failure(*script, connect_timeout=0.1)
    assert (failed.step, failed.reason, failed.try_next) == (step, "no answer within 0.1 s", True)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (fatal("28000", "no pg_hba.conf entry"), "the server reported 28000: no pg_hba.conf entry"),
        (message(b"E", b"SFATAL\0Mno code\0\0"), "the server reported no SQLSTATE: no code"),
        (message(b"E", b"\0"), "the server reported no SQLSTATE: no message"),
        (message(b"E", b""), "the server broke the protocol (string without its zero terminator)"),
        (message(b"E", b"Mcut"), "the server broke the protocol (string without its zero terminator)"),
        (message(b"N", b"Mcut"), "the server broke the protocol (string without its zero terminator)"),
        (b"R\0\0\0\0", "the server broke the protocol (message of type 'R' with length 0)"),
        (b"R\0\0\0\3", "the server broke the protocol (message of type 'R' with length 3)"),
        (b"R\xff\xff\xff\xff", "the server broke the protocol (message of type 'R' with length 4294967295)"),
        (b"E\x7f\xff\xff\xff", "the server broke the protocol (message of type 'E' with length 2147483647)"),
        (b"HTTP/1.1 400", "the server broke the protocol (message of type 'H' with length 1414811695)"),
        (message(b"R", b"\0\0\0"), "the server broke the protocol (message is shorter than its contents say)"),
        (
            authentication(0, b"x"),
            "the server broke the protocol (authentication request is longer than its contents say)",
        ),
        (authentication(5, b"abc"), "the server broke the protocol (salt of unusual length)"),
        (KEY, "the server broke the protocol (message of type 'K' during authentication)"),
        (message(b"v", b"\0" * 8), "the server broke the protocol (message of type 'v' during authentication)"),
        (authentication(2), "the server requests Kerberos V5, which is not used here"),
        (authentication(7), "the server requests GSSAPI, which is not used here"),
        (authentication(9), "the server requests SSPI, which is not used here"),
        (authentication(13), "the server requests method 13, which is not used here"),
        (authentication(11, b"r=x"), "the server requests method 11, which is not used here"),
        (authentication(3), "the server requests the password in clear text over an unencrypted link"),
        (notice("again") * 1001, "the server broke the protocol (more messages than a login has)"),
        (OK + READY, "the server gives no cancel key, so its sessions could not be ended"),
        (OK + KEY + KEY, "the server broke the protocol (message of type 'K' during login)"),
        (OK + message(b"K", b"\0\0\0\1\0"), "the server broke the protocol (cancel key of unusual length)"),
        (OK + OK, "the server broke the protocol (message of type 'R' during login)"),
        (OK + KEY + message(b"Z", b"T"), "the server broke the protocol (a new session that is in a transaction)"),
        (OK + KEY + message(b"Z", b"?"), "the server broke the protocol (transaction status that does not exist)"),
        (OK + KEY + READY + b"N", "the server broke the protocol (bytes after ReadyForQuery that nothing requested)"),
        (OK + message(b"S", b"a\0"), "the server broke the protocol (string without its zero terminator)"),
        (OK + message(b"D", b"\0\0"), "the server broke the protocol (message of type 'D' during login)"),
    ],
)
async def test_protocol_violations_of_a_server_end_the_login(sent: bytes, reason: str) -> None:
    assert (await _failure(startup(), send(sent))).reason == reason


@pytest.mark.parametrize(
    ("sqlstate", "try_next"), [("57P03", True), ("57P01", True), ("53300", False), ("28P01", False)]
)
async def test_which_errors_move_on_to_the_next_server(sqlstate: str, try_next: bool) -> None:
    failed = await _failure(startup(), send(fatal(sqlstate, "no")))
    assert (failed.sqlstate, failed.server_message, failed.try_next) == (sqlstate, "no", try_next)


async def test_a_missing_password_is_reported() -> None:
    for request in (SASL, authentication(5, b"salt"), authentication(3)):
        failed = await _failure(startup(), send(request), credential=None)
        assert failed.reason == "the server requests a password and none is configured"


async def test_md5_is_answered_once_and_never_followed_by_a_weaker_question() -> None:
    for second in (authentication(3), authentication(5, b"tlas"), SASL):
        failed = await _failure(startup(), send(authentication(5, b"salt")), expect("p"), send(second))
        assert failed.reason.startswith("the server broke the protocol (authentication message ")


async def test_the_md5_answer_is_postgresqls() -> None:
    script = [startup(), send(authentication(5, b"salt")), expect("p"), send(WELCOME), until_left()]
    async with ScriptedServer(script) as server:
        (await _log_in(server)).link.abort()
        # md5(md5("correct horse" || "ann") || "salt")
        assert server.peers[0].frames[0].body == b"md536f494574512deb0428fb7a5976e0591\0"


async def test_clear_text_is_answered_on_a_unix_socket(tmp_path: Path) -> None:
    script = [startup(), send(authentication(3)), expect("p"), send(WELCOME), until_left()]
    async with ScriptedServer(script, path=str(tmp_path / ".s.PGSQL.1")) as server:
        target = target_at(hosts=(Host(str(tmp_path), 1),))
        (address,) = await resolve(target.hosts[0])
        upstream = await connect_upstream(target, address, {})
        assert server.peers[0].frames[0].body == PASSWORD.encode() + b"\0"
        upstream.link.abort()


# --- SCRAM -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "offer",
    [
        b"SCRAM-SHA-256\0\0",
        b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0",  # not usable without TLS, but offered
        b"OTHER\0SCRAM-SHA-256\0MORE\0\0",
    ],
)
async def test_scram_is_found_anywhere_in_the_list(offer: bytes) -> None:
    async with ScriptedServer([startup(), scram(offer), send(WELCOME), until_left()]) as server:
        (await _log_in(server)).link.abort()
        first = server.peers[0].frames[0].body
        assert first.startswith(b"SCRAM-SHA-256\0")
        assert b"n,,n=" in first, "without TLS there is nothing to bind to"


@pytest.mark.parametrize(
    ("offer", "reason"),
    [
        (b"", "the server broke the protocol (string without its zero terminator)"),
        (b"SCRAM-SHA-256", "the server broke the protocol (string without its zero terminator)"),
        (b"SCRAM-SHA-256\0", "the server broke the protocol (string without its zero terminator)"),
        (b"SCRAM-SHA-256\0\0x", "the server broke the protocol (message is longer than its contents say)"),
        (b"\0", "the server broke the protocol (authentication request that offers nothing)"),
        (b"scram-sha-256\0\0", "the server offers no SASL mechanism that is used here, but 'scram-sha-256'"),
        (b"SCRAM-SHA-1\0X\0\0", "the server offers no SASL mechanism that is used here, but 'SCRAM-SHA-1', 'X'"),
        (
            b"SCRAM-SHA-256-PLUS\0\0",
            "the server offers no SASL mechanism that is used here, but 'SCRAM-SHA-256-PLUS'",
        ),
    ],
)
async def test_lists_without_a_mechanism_of_ours(offer: bytes, reason: str) -> None:
    assert (await _failure(startup(), send(authentication(10, offer)))).reason == reason


def _first(text: str) -> Step:
    """The server's first SCRAM message; NONCE stands for the client's own."""

    async def step(peer: Any) -> None:
        nonce = peer.last.body.rpartition(b"r=")[2].decode()
        await peer.write(authentication(11, text.replace("NONCE", nonce).encode()))

    return step


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        ("", "Malformed"),
        ("nonsense", "Malformed"),
        ("r=NONCE,s=AAAAAAAAAAAAAAAAAAAAAA==,i=4096", "nonce must be longer"),
        ("r=other,s=AAAAAAAAAAAAAAAAAAAAAA==,i=4096", "nonce doesn't match"),
        ("r=" + "x" * 60_000 + ",s=AAAAAAAAAAAAAAAAAAAAAA==,i=4096", "nonce doesn't match"),
        ("r=NONCEx,s=%%%%,i=4096", "base 64"),
        ("r=NONCEx,s=,i=4096", "Malformed"),
        ("r=NONCEx,s=AAAA,i=4096", "salt"),
        ("r=NONCEx,i=4096,s=AAAAAAAAAAAAAAAAAAAAAA==", "Malformed"),
        ("r=NONCEx,s=AAAAAAAAAAAAAAAAAAAAAA==", "Malformed"),
        ("r=NONCEx,s=AAAAAAAAAAAAAAAAAAAAAA==,i=", "Malformed"),
        ("r=NONCEx,s=AAAAAAAAAAAAAAAAAAAAAA==,i=-1", "ASCII digits"),
        ("r=NONCEx,s=AAAAAAAAAAAAAAAAAAAAAA==,i=1", "must not be <"),
        ("r=NONCEx,s=AAAAAAAAAAAAAAAAAAAAAA==,i=1000001", "requests more than 1000000 iterations"),
        ("r=NONCEx,s=AAAAAAAAAAAAAAAAAAAAAA==,i=10000000", "requests more than 1000000 iterations"),
        ("r=NONCEx,s=AAAAAAAAAAAAAAAAAAAAAA==,i=" + "9" * 5000, "iteration count"),
        ("m=x,r=NONCEx,s=AAAAAAAAAAAAAAAAAAAAAA==,i=4096", "'m' attribute"),
        ("r=NONCEx\u00e9,s=AAAAAAAAAAAAAAAAAAAAAA==,i=4096", "not ASCII"),
        ("e=unknown-user", "returned an error"),
    ],
)
async def test_a_malformed_first_message_ends_the_login(first: str, reason: str) -> None:
    failed = await _failure(startup(), send(SASL), expect("p"), _first(first))
    assert failed.step == "authenticating"
    assert reason in failed.reason


def _final(body: bytes) -> list[Step]:
    """A good first message, then an authentication message with `body` in place of the final one."""
    first = _first("r=NONCEx,s=AAAAAAAAAAAAAAAAAAAAAA==,i=4096")
    return [startup(), send(SASL), expect("p"), first, expect("p"), send(message(b"R", body))]


@pytest.mark.parametrize(
    ("final", "reason"),
    [
        (struct.pack("!i", 12) + b"v=" + b"A" * 43 + b"=", "signature doesn't match"),
        (struct.pack("!i", 12) + b"v=%%%", "base 64"),
        (struct.pack("!i", 12), "Malformed"),
        (struct.pack("!i", 12) + b"e=invalid-proof", "returned an error"),
        (struct.pack("!i", 0), "authentication message 0 in place of 12"),
        (struct.pack("!i", 11) + b"r=x", "authentication message 11 in place of 12"),
        (struct.pack("!i", 3), "authentication message 3 in place of 12"),
    ],
)
async def test_no_ok_is_believed_before_the_servers_signature(final: bytes, reason: str) -> None:
    assert reason in (await _failure(*_final(final))).reason


async def test_ok_in_place_of_the_first_scram_message_is_not_believed() -> None:
    failed = await _failure(startup(), send(SASL), expect("p"), send(WELCOME))
    assert failed.reason == "the server broke the protocol (authentication message 0 in place of 11)"


async def test_a_server_that_does_not_know_the_password_is_not_believed() -> None:
    failed = await _failure(startup(), scram(password="another one"), send(WELCOME))
    assert failed.sqlstate == "28P01"


# --- channel binding -------------------------------------------------------------------------------------


def _context(pair: Pair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    return context


PLUS = b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"


async def _bound(authority: Authority, pair: Pair, offer: bytes, binding: ChannelBinding) -> bytes:
    """Log in, and give the client's first SCRAM message."""
    certificate = pair.certificate.read_text()
    script = [tls(_context(pair)), startup(), scram(offer, certificate=certificate), send(WELCOME), until_left()]
    async with ScriptedServer(script) as server:
        changes = {"sslmode": SslMode.VERIFY_FULL, "sslrootcert": str(authority.root), "channel_binding": binding}
        try:
            (await _log_in(server, **changes)).link.abort()
        finally:
            first = server.peers[0].frames[0].body if server.peers[0].frames else b""
    reader = BodyReader(first)
    reader.string()
    return reader.take(reader.int32())


@pytest.mark.parametrize("hash_", [hashes.SHA256(), hashes.SHA384(), hashes.SHA512()], ids=lambda hash_: hash_.name)
async def test_binding_is_to_the_hash_of_the_certificates_signature(
    tmp_path: Path, hash_: hashes.HashAlgorithm
) -> None:
    authority = Authority(tmp_path)
    pair = authority.server("127.0.0.1", hash_=hash_)
    for binding in (ChannelBinding.PREFER, ChannelBinding.REQUIRE):
        assert (await _bound(authority, pair, PLUS, binding)).startswith(b"p=tls-server-end-point,,")


async def test_binding_that_is_disabled_is_not_claimed(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.server("127.0.0.1")
    assert (await _bound(authority, pair, PLUS, ChannelBinding.DISABLE)).startswith(b"n,,")


async def test_an_offer_that_was_cut_on_the_way_is_seen_by_the_server(tmp_path: Path) -> None:
    """The client's gs2 flag is `y`; a server that offered channel binding then refuses."""
    authority = Authority(tmp_path)
    with pytest.raises(LoginFailed, match="in fact it does"):
        await _bound(authority, authority.server("127.0.0.1"), b"SCRAM-SHA-256\0\0", ChannelBinding.PREFER)


async def test_required_binding_that_is_not_offered_sends_nothing(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.server("127.0.0.1")
    failed = await _failure(
        tls(_context(pair)),
        startup(),
        send(SASL),
        sslmode=SslMode.VERIFY_FULL,
        sslrootcert=str(authority.root),
        channel_binding=ChannelBinding.REQUIRE,
    )
    assert failed.reason == "channel binding is required and the server does not offer it"


async def test_a_certificate_that_cannot_be_bound_to_is_not_claimed_to_be(tmp_path: Path) -> None:
    authority = Authority(tmp_path, edwards=True)
    pair = authority.server("127.0.0.1")
    given = {"sslmode": SslMode.VERIFY_FULL, "sslrootcert": str(authority.root)}
    script = [tls(_context(pair)), startup(), scram(PLUS), send(WELCOME), until_left()]
    async with ScriptedServer(script) as server:
        (await _log_in(server, **given)).link.abort()
        assert b"n,,n=" in server.peers[0].frames[0].body
    required = {**given, "channel_binding": ChannelBinding.REQUIRE}
    failed = await _failure(tls(_context(pair)), startup(), send(authentication(10, PLUS)), **required)
    assert failed.reason == "channel binding is required and there is no certificate to bind to"
