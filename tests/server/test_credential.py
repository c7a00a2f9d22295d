"""Login secrets: what is cached, for how long, and that a secret is never shown."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pgjit.server.credential import CredentialUnavailable, FetchedSecret, FixedSecret, FromFile, RenewedSecret
from tests.fakes.targets import target_at

SECRET = "hunter2"


class _Vault:
    """Counts its fetches; returns `secret-1`, `secret-2`, ..."""

    def __init__(self, seconds: float = 300) -> None:
        self.asked = 0
        self.now = 1000.0
        self.closed = False
        self.credential = RenewedSecret(self.fetch, now=lambda: self.now)
        self._seconds = seconds

    async def fetch(self) -> FetchedSecret:
        self.asked += 1
        await asyncio.sleep(0)
        if self.closed:
            raise CredentialUnavailable("vault is closed")
        return FetchedSecret(f"secret-{self.asked}", self._seconds)


async def test_no_secret_is_in_a_repr() -> None:
    given = FixedSecret(SECRET)
    for shown in (repr(given), str(given), repr(FetchedSecret(SECRET, 1)), repr(target_at(credential=given))):
        assert SECRET not in shown
    vault = _Vault()
    secret = await vault.credential.secret()
    assert secret not in repr(vault.credential)


async def test_a_fixed_secret_does_not_change() -> None:
    given = FixedSecret(SECRET)
    given.refused()
    assert await given.secret() == SECRET


async def test_a_file_is_read_each_time(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    source = FromFile(path)
    for content, secret in (("one\n", "one"), ("two", "two"), ("three\n\n", "three\n"), (" four ", " four ")):
        path.write_text(content)
        assert await source.secret() == secret
        source.refused()


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "cannot be read: No such file"), (b"", "is empty"), (b"\n", "is empty"), (b"\xff", "is not text"),
     (b"a\0b", "holds a zero byte")],
)  # fmt: skip
async def test_a_file_without_a_secret_is_reported_by_its_name(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CredentialUnavailable) as raised:
        await FromFile(path).secret()
    assert str(raised.value).startswith(f"file `{path}` {reason}")


async def test_a_secret_is_fetched_on_demand_and_after_its_time_is_over() -> None:
    vault = _Vault(seconds=300)
    assert vault.asked == 0
    assert await vault.credential.secret() == "secret-1"
    vault.now += 299
    assert await vault.credential.secret() == "secret-1"
    vault.now += 1
    assert await vault.credential.secret() == "secret-2"


async def test_a_secret_without_a_time_is_fetched_at_every_login() -> None:
    vault = _Vault(seconds=0)
    assert [await vault.credential.secret() for _ in range(3)] == ["secret-1", "secret-2", "secret-3"]


async def test_concurrent_callers_share_one_fetch() -> None:
    vault = _Vault()
    assert set(await asyncio.gather(*(vault.credential.secret() for _ in range(10)))) == {"secret-1"}
    assert vault.asked == 1


async def test_a_refused_secret_is_forgotten_but_not_at_once_again() -> None:
    vault = _Vault()
    await vault.credential.secret()
    vault.credential.refused()
    assert await vault.credential.secret() == "secret-1", "it was fetched just now"
    vault.now += 5
    vault.credential.refused()
    assert await vault.credential.secret() == "secret-2"
    vault.credential.refused()
    assert await vault.credential.secret() == "secret-2"


async def test_a_failure_is_not_remembered_and_nothing_old_is_given_in_its_place() -> None:
    vault = _Vault(seconds=10)
    await vault.credential.secret()
    vault.now += 10
    vault.closed = True
    with pytest.raises(CredentialUnavailable, match="vault is closed"):
        await vault.credential.secret()
    vault.closed = False
    assert await vault.credential.secret() == "secret-3"
