"""The steps from a token to an identity, over several issuers' keys; and what they cost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest

from pgjit.errors import ServerUnavailable, TokenRefused
from pgjit.identity.providers.entra import EntraProvider, EntraSettings
from tests.fakes.entra import ABSENT, AUDIENCE, OTHER_TENANT, TENANT, Key, StandIn
from tests.fixtures.tokens import assert_tells_nothing_of
from tests.run.work import calls_async

OID = "0d4b2a6e-91c7-4b55-8f0e-3c2f7a1e5d90"


pytestmark = pytest.mark.live


@pytest.fixture
async def entra() -> AsyncIterator[StandIn]:
    async with StandIn(TENANT, OTHER_TENANT) as served:
        yield served


@pytest.fixture
async def provider(entra: StandIn) -> AsyncIterator[EntraProvider]:
    settings = EntraSettings(
        tenants=(TENANT, OTHER_TENANT),
        audience=AUDIENCE,
        authority=entra.url,
        sts=entra.url,
        versions=("v1", "v2"),
    )
    started = EntraProvider(settings)
    await started.start()
    yield started
    await started.close()


async def refusal(provider: EntraProvider, token: str) -> TokenRefused:
    with pytest.raises(TokenRefused) as refused:
        await provider.verify(token, datetime.now(UTC))
    assert_tells_nothing_of(token, refused.value)
    return refused.value


async def test_each_tenant_signs_for_itself_alone(entra: StandIn, provider: EntraProvider) -> None:
    for tenant in (TENANT, OTHER_TENANT):
        identity = await provider.verify(entra.token(OID, tenant=tenant), datetime.now(UTC))
        assert identity.key == (tenant, OID)
    theirs = entra.keys[OTHER_TENANT][0]
    assert (await refusal(provider, entra.token(OID, key=theirs))).reason == "unknown-key"
    # Under a key id that both have, but not for the same key.
    twin = Key()
    twin.kid = entra.keys[TENANT][0].kid
    entra.keys[OTHER_TENANT].append(twin)
    await provider.verify(entra.token(OID), datetime.now(UTC))
    assert (await refusal(provider, entra.token(OID, key=twin))).reason == "bad-signature"


async def test_two_tenants_with_different_keys_of_one_name_sign_each_for_itself(entra: StandIn) -> None:
    twin = Key()
    twin.kid = entra.keys[TENANT][0].kid
    entra.keys[OTHER_TENANT] = [twin]
    settings = EntraSettings(tenants=(TENANT, OTHER_TENANT), audience=AUDIENCE, authority=entra.url)
    provider = EntraProvider(settings)
    await provider.start()
    try:
        for tenant in (TENANT, OTHER_TENANT, TENANT):
            assert (await provider.verify(entra.token(OID, tenant=tenant), datetime.now(UTC))).key.tid == tenant
        for tenant, other in ((TENANT, OTHER_TENANT), (OTHER_TENANT, TENANT)):
            crossed = entra.token(OID, tenant=tenant, key=entra.keys[other][0])
            assert (await refusal(provider, crossed)).reason == "wrong-key"
        stranger = Key()
        stranger.kid = twin.kid
        assert (await refusal(provider, entra.token(OID, key=stranger))).reason == "bad-signature"
    finally:
        await provider.close()


async def test_a_key_that_both_tenants_publish_signs_for_both(entra: StandIn, provider: EntraProvider) -> None:
    entra.keys[OTHER_TENANT] = entra.keys[TENANT]
    for tenant in (TENANT, OTHER_TENANT):
        assert (await provider.verify(entra.token(OID, tenant=tenant), datetime.now(UTC))).key.tid == tenant


async def test_a_tenant_whose_keys_cannot_be_fetched_does_not_shut_out_the_others(entra: StandIn) -> None:
    def partly(request: httpx.Request) -> bool:
        return request.url.path.startswith(f"/{OTHER_TENANT}/")

    class Partly(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if partly(request):
                raise httpx.ConnectError("no route", request=request)
            return await super().handle_async_request(request)

    settings = EntraSettings(tenants=(TENANT, OTHER_TENANT), audience=AUDIENCE, authority=entra.url)
    provider = EntraProvider(settings, transport=Partly())
    await provider.start()
    try:
        assert (await provider.verify(entra.token(OID), datetime.now(UTC))).key.tid == TENANT
        assert not provider.ready  # somebody has to look
        with pytest.raises(ServerUnavailable):
            await provider.verify(entra.token(OID, tenant=OTHER_TENANT), datetime.now(UTC))
    finally:
        await provider.close()


async def test_version_one_has_its_own_issuer_and_shape(entra: StandIn, provider: EntraProvider) -> None:
    of_v1: dict[str, object] = {
        "ver": "1.0",
        "iss": entra.issuer(TENANT, 1),
        "azp": ABSENT,
        "azpacr": ABSENT,
        "appid": "9b2d7c1e-0f4a-4d8e-8b6c-5a3e1f2d4c60",
        "appidacr": "2",
    }
    identity = await provider.verify(entra.token(OID, **of_v1), datetime.now(UTC))  # type: ignore[arg-type]
    assert (identity.app_id, identity.credential) == ("9b2d7c1e-0f4a-4d8e-8b6c-5a3e1f2d4c60", "certificate")


async def test_a_token_is_checked_in_some_thousand_calls_once_the_keys_are_there(
    entra: StandIn, provider: EntraProvider
) -> None:
    groups = [f"00000000-0000-4000-8000-{number:012}" for number in range(50)]
    first, second = (entra.token(OID, *groups) for _ in range(2))
    await provider.verify(first, datetime.now(UTC))
    assert await calls_async(provider.verify(second, datetime.now(UTC))) < 8_000
