"""What every identity provider must do. A provider's test file subclasses ProviderContract and makes tokens.

The tokens a subclass gives are its provider's own way to say "expired", "for another audience" and so on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pgjit.errors import ServerUnavailable, TokenRefused
from pgjit.identity.identity import IdentityKey
from pgjit.identity.provider import Provider
from tests.fixtures.tokens import assert_tells_nothing_of

__all__ = ["BAD_TOKENS", "ProviderContract"]

BAD_TOKENS = (
    "expired",
    "not-yet-valid",
    "issued-in-future",
    "no-end",
    "wrong-audience",
    "several-audiences",
    "wrong-issuer",
    "unsigned",
    "signed-with-public-key",
    "unknown-key",
    "foreign-signature",
    "id-token",
)


class ProviderContract:
    @pytest.fixture
    def provider(self) -> Provider:
        """A started provider that can reach its issuer. Given by the subclass."""
        raise NotImplementedError

    @pytest.fixture
    def cut_off(self) -> Provider:
        """A started provider that cannot reach its issuer. Given by the subclass."""
        raise NotImplementedError

    @pytest.fixture
    def make(self, provider: Provider) -> Callable[[str], str]:
        """A function that makes the token of a name: `good`, or one of BAD_TOKENS. Given by the subclass."""
        raise NotImplementedError

    @pytest.fixture
    def owner(self) -> IdentityKey:
        """Whom a good token is of. Given by the subclass."""
        raise NotImplementedError

    async def test_a_good_token_is_its_owners_identity(
        self, provider: Provider, make: Callable[[str], str], owner: IdentityKey
    ) -> None:
        now = datetime.now(UTC)
        identity = await provider.verify(make("good"), now)
        assert provider.ready
        assert identity.key == owner
        assert identity.token_id
        assert identity.issued_at <= now < identity.expires_at
        assert identity.expires_at.utcoffset() == identity.issued_at.utcoffset() == now.utcoffset()

    async def test_two_tokens_of_one_owner_differ_in_their_id_only(
        self, provider: Provider, make: Callable[[str], str]
    ) -> None:
        now = datetime.now(UTC)
        one, other = [await provider.verify(make("good"), now) for _ in range(2)]
        assert one.token_id != other.token_id
        same = {"token_id": "", "issued_at": now, "expires_at": now}
        assert replace(one, **same) == replace(other, **same)  # type: ignore[arg-type]

    @pytest.mark.parametrize("name", BAD_TOKENS)
    async def test_a_bad_token_is_refused_like_any_other(
        self, provider: Provider, make: Callable[[str], str], name: str
    ) -> None:
        token = make(name)
        with pytest.raises(TokenRefused) as refused:
            await provider.verify(token, datetime.now(UTC))
        assert refused.value.fields() == TokenRefused("x", "x").fields()
        assert_tells_nothing_of(token, refused.value)

    @pytest.mark.parametrize(
        "password", ["", " ", "secret", "a.b.c", "..", "\x00", "ü" * 100, "\ud800", "A" * 70_000, "Bearer x.y.z"]
    )
    async def test_what_is_no_token_is_refused(self, provider: Provider, password: str) -> None:
        with pytest.raises(TokenRefused):
            await provider.verify(password, datetime.now(UTC))

    async def test_a_token_changed_in_any_segment_is_refused(
        self, provider: Provider, make: Callable[[str], str]
    ) -> None:
        segments = make("good").split(".")
        for index, segment in enumerate(segments):
            middle = len(segment) // 2
            changed = segment[:middle] + ("A" if segment[middle] != "A" else "B") + segment[middle + 1 :]
            token = ".".join([*segments[:index], changed, *segments[index + 1 :]])
            with pytest.raises(TokenRefused):
                await provider.verify(token, datetime.now(UTC))

    async def test_a_time_without_a_zone_opens_nothing(self, provider: Provider, make: Callable[[str], str]) -> None:
        with pytest.raises(TokenRefused):
            await provider.verify(make("good"), datetime.now())  # noqa: DTZ005 - that it has none is the point

    async def test_many_at_once_are_all_answered(
        self, provider: Provider, make: Callable[[str], str], owner: IdentityKey
    ) -> None:
        now = datetime.now(UTC)
        identities = await asyncio.gather(*(provider.verify(make("good"), now) for _ in range(20)))
        assert {identity.key for identity in identities} == {owner}

    async def test_without_its_issuer_it_starts_and_lets_nobody_in(
        self, cut_off: Provider, make: Callable[[str], str]
    ) -> None:
        assert not cut_off.ready
        with pytest.raises(ServerUnavailable):
            await cut_off.verify(make("good"), datetime.now(UTC))
        assert not cut_off.ready

    async def test_it_closes_twice(self, provider: Provider, cut_off: Provider) -> None:
        for each in (provider, cut_off):
            await each.close()
            await each.close()
