"""The client side of SCRAM, against scramp's server, and the cache of derived keys."""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode

import pytest
from scramp import ScramException, ScramMechanism

from pgjit.server import scram
from pgjit.server.scram import Exchange

CERTIFICATE = hashlib.sha256(b"the server's certificate").digest()
SALT = b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    scram._cache.clear()


class Server:
    """What PostgreSQL keeps of a password, and its side of one login after another."""

    def __init__(self, password: str, salt: bytes = SALT, rounds: int = 4096) -> None:
        self.info = ScramMechanism("SCRAM-SHA-256").make_auth_info(password, iteration_count=rounds, salt=salt)

    async def log_in(self, exchange: Exchange, mechanism: str = "SCRAM-SHA-256", bound: bytes | None = None) -> None:
        binding = None if bound is None else ("tls-server-end-point", bound)
        server = ScramMechanism(mechanism).make_server(lambda _: self.info, channel_binding=binding)
        server.set_client_first(exchange.client_first().decode())
        server.set_client_final((await exchange.client_final(server.get_server_first())).decode())
        exchange.verify(server.get_server_final())


@pytest.fixture
def derived(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, int]]:
    """The salts and rounds that keys were derived for."""
    seen: list[tuple[bytes, int]] = []
    derive = hashlib.pbkdf2_hmac

    def counting(name: str, secret: bytes, salt: bytes, rounds: int) -> bytes:
        seen.append((salt, rounds))
        return derive(name, secret, salt, rounds)

    monkeypatch.setattr("pgjit.server.scram.hashlib.pbkdf2_hmac", counting)
    return seen


@pytest.mark.parametrize("password", ["pencil", "p", "x" * 1000, "pässwörd", "I\u00adX", "\u00a0", "\u2168"])
async def test_a_server_and_a_client_that_know_the_password_believe_each_other(password: str) -> None:
    for _ in range(3):
        await Server(password).log_in(Exchange("SCRAM-SHA-256", password, None))


async def test_the_login_is_bound_to_the_certificate() -> None:
    plus = "SCRAM-SHA-256-PLUS"
    for _ in range(2):
        await Server("pencil").log_in(Exchange(plus, "pencil", CERTIFICATE), plus, CERTIFICATE)
        with pytest.raises(ScramException, match="bindings don't match"):
            await Server("pencil").log_in(Exchange(plus, "pencil", CERTIFICATE), plus, b"another" * 4)


async def test_keys_are_derived_once_for_the_same_secret_salt_and_rounds(derived: list[tuple[bytes, int]]) -> None:
    same, salted, longer = Server("pencil"), Server("pencil", b"o" * 16), Server("pencil", rounds=5000)
    derived.clear()
    for _ in range(3):
        for server in (same, salted, longer):
            await server.log_in(Exchange("SCRAM-SHA-256", "pencil", None))
    assert derived == [(SALT, 4096), (b"o" * 16, 4096), (SALT, 5000)]


async def test_another_secret_never_takes_the_keys_of_the_first() -> None:
    await Server("pencil").log_in(Exchange("SCRAM-SHA-256", "pencil", None))
    with pytest.raises(ScramException, match="client keys don't match"):
        await Server("pencil").log_in(Exchange("SCRAM-SHA-256", "pencils", None))
    await Server("pencils").log_in(Exchange("SCRAM-SHA-256", "pencils", None))


async def test_a_server_that_does_not_know_the_password_is_not_believed_with_known_keys_either() -> None:
    for _ in range(2):
        exchange = Exchange("SCRAM-SHA-256", "pencil", None)
        nonce = exchange.client_first().decode().rpartition("r=")[2]
        await exchange.client_final(f"r={nonce}x,s={b64encode(SALT).decode()},i=4096")
        with pytest.raises(ScramException, match="signature"):
            exchange.verify(f"v={b64encode(bytes(32)).decode()}")


async def test_no_more_is_kept_than_so_much_and_no_secret_is_in_it(derived: list[tuple[bytes, int]]) -> None:
    for number in range(70):
        exchange = Exchange("SCRAM-SHA-256", "a very secret word", None)
        nonce = exchange.client_first().decode().rpartition("r=")[2]
        salt = b64encode(number.to_bytes(16)).decode()
        await exchange.client_final(f"r={nonce}x,s={salt},i=4096")
    assert len(derived) == 70
    assert len(scram._cache) == 64
    assert "secret" not in repr(scram._cache)
    assert all(keys.client not in repr(scram._cache).encode() for keys in scram._cache.values())


@pytest.mark.parametrize("secret", ["tab\tbed", "\u0627a", "\ufffe"])
async def test_a_password_that_saslprep_rejects_is_used_unchanged(secret: str) -> None:
    keys = await scram._keys(secret, SALT, 4096)
    salted = hashlib.pbkdf2_hmac("sha256", secret.encode(), SALT, 4096)
    assert keys.client == scram._hmac(salted, b"Client Key")
