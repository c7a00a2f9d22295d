from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

import pgjit.identity.providers
from pgjit.demo.emulator import AppCredentials, Emulator, EmulatorSettings
from pgjit.errors import InvalidFile, TokenRefused
from pgjit.identity.identity import GroupId, IdentityKey, IdentityKind
from pgjit.identity.provider import Provider
from pgjit.identity.providers import PROVIDERS
from pgjit.identity.providers.entra import EntraProvider, EntraSettings
from tests.contracts.provider import ProviderContract
from tests.fixtures.tokens import (
    AUDIENCE,
    GROUP,
    TENANT,
    agent_app,
    assert_tells_nothing_of,
    emulator,
    settings_for,
)
from tests.fixtures.tokens import provider as entra
from tests.identity.token_attacks import ATTACKS, good

__all__ = ["emulator", "entra"]  # fixtures


@pytest.fixture
def agent(emulator: Emulator) -> AppCredentials:
    return agent_app(emulator)


async def test_the_agents_token_is_its_identity(
    entra: EntraProvider, emulator: Emulator, agent: AppCredentials
) -> None:
    now = datetime.now(UTC)
    identity = await entra.verify(emulator.issue(agent, now=now), now)
    assert identity.key == IdentityKey(TENANT, agent.oid)
    assert identity.key == IdentityKey(*(part.lower() for part in identity.key))
    assert all(group == group.lower() for group in identity.groups)
    assert (identity.kind, identity.app_id) == (IdentityKind.APP, agent.client_id)
    assert identity.display == "schema-check-agent"
    assert identity.groups == frozenset([GroupId(GROUP)])
    assert identity.expires_at == now.replace(microsecond=0) + timedelta(minutes=75)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def attacked() -> AsyncIterator[tuple[Emulator, EntraProvider]]:
    """One emulator and one provider for all attacks: what one leaves behind, the next would meet."""
    running = Emulator(EmulatorSettings(tenant=TENANT, audience=AUDIENCE))
    await running.start()
    started = EntraProvider(settings_for(running))
    await started.start()
    yield running, started
    await started.close()
    await running.close()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", ATTACKS)
async def test_an_attack_is_refused_for_its_own_reason_and_told_to_nobody(
    attacked: tuple[Emulator, EntraProvider], name: str
) -> None:
    running, entra = attacked
    attack, reason = ATTACKS[name]
    token = attack(running)
    with pytest.raises(TokenRefused) as refused:
        await entra.verify(token, datetime.now(UTC))
    assert refused.value.reason == reason
    assert refused.value.fields() == TokenRefused("other", "other").fields()
    assert_tells_nothing_of(token, refused.value)
    # and the good token still is good: nothing stuck
    assert (await entra.verify(good(running), datetime.now(UTC))).key.tid == TENANT


@pytest.mark.parametrize(("over", "taken"), [(0, True), (1, False)])
async def test_the_limit_of_size_is_exact(emulator: Emulator, agent: AppCredentials, over: int, taken: bool) -> None:
    token = emulator.issue(agent)
    settings = EntraSettings(
        tenants=(TENANT,), audience=AUDIENCE, authority=emulator.url, max_token_bytes=len(token) - over
    )
    provider = EntraProvider(settings)
    await provider.start()
    try:
        if taken:
            assert (await provider.verify(token, datetime.now(UTC))).key.oid == agent.oid
        else:
            with pytest.raises(TokenRefused, match="not accepted"):
                await provider.verify(token, datetime.now(UTC))
    finally:
        await provider.close()


async def test_a_token_of_two_hundred_groups_is_taken_and_one_more_is_overage(
    entra: EntraProvider, emulator: Emulator
) -> None:
    groups = [f"00000000-0000-4000-8000-{number:012}" for number in range(201)]
    most = await entra.verify(emulator.issue(emulator.add_app("many", groups=groups[:200])), datetime.now(UTC))
    assert len(most.groups) == 200
    with pytest.raises(TokenRefused) as refused:
        await entra.verify(emulator.issue(emulator.add_app("more", groups=groups)), datetime.now(UTC))
    assert refused.value.reason == "groups-overage"


async def test_a_rotated_key_is_found_and_the_old_one_dies(
    entra: EntraProvider, emulator: Emulator, agent: AppCredentials
) -> None:
    before = emulator.issue(agent)
    await entra.verify(before, datetime.now(UTC))
    emulator.rotate_keys()
    await entra.verify(emulator.issue(agent), datetime.now(UTC))
    with pytest.raises(TokenRefused) as refused:
        await entra.verify(before, datetime.now(UTC))
    assert refused.value.reason == "unknown-key"


async def test_keys_outlive_an_issuer_that_is_down(
    entra: EntraProvider, emulator: Emulator, agent: AppCredentials
) -> None:
    await entra.verify(emulator.issue(agent), datetime.now(UTC))
    await emulator.close()
    await entra.verify(emulator.issue(agent), datetime.now(UTC))
    assert entra.ready


async def test_a_fault_that_nobody_thought_of_is_a_refusal(
    entra: EntraProvider, emulator: Emulator, agent: AppCredentials
) -> None:
    token = emulator.issue(agent)
    await entra.verify(token, datetime.now(UTC))
    for broken in (None, 5, b"bytes"):
        with pytest.raises(TokenRefused):
            await entra.verify(broken, datetime.now(UTC))  # type: ignore[arg-type]
    with pytest.raises(TokenRefused) as refused:
        await entra.verify(token, "now")  # type: ignore[arg-type]
    assert refused.value.reason == "check-failed"
    assert_tells_nothing_of(token, refused.value)


# --- settings ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "authority",
    [
        "https://login.microsoftonline.com",
        "https://login.microsoftonline.com/",
        "https://login.example:8443",
        "http://127.0.0.1:8080",
        "http://127.8.8.8",
        "http://localhost:8080",
        "http://[::1]:8080",
    ],
)
def test_an_authority_is_https_or_on_this_machine(authority: str) -> None:
    settings = EntraSettings(tenants=(TENANT.upper(),), audience=AUDIENCE.upper(), authority=authority)
    assert (settings.tenants, settings.audience) == ((TENANT,), AUDIENCE)
    assert settings.issuer(TENANT, "v2") == f"{authority.removesuffix('/')}/{TENANT}/v2.0"


FAULTS: dict[str, tuple[dict[str, object], str]] = {
    "http": ({"authority": "http://login.example"}, "authority"),
    "http of a name like this machine's": ({"authority": "http://localhost.evil.example"}, "authority"),
    "http of anywhere": ({"authority": "http://0.0.0.0:8080"}, "authority"),
    "no scheme": ({"authority": "login.microsoftonline.com"}, "authority"),
    "another scheme": ({"authority": "file:///etc"}, "authority"),
    "with a path": ({"authority": "https://login.example/tenant"}, "authority"),
    "with a query": ({"authority": "https://login.example?x"}, "authority"),
    "with a password": ({"authority": "https://user:secret@login.example"}, "authority"),
    "upper case": ({"authority": "https://LOGIN.example"}, "authority"),
    "not a URL": ({"authority": "https://["}, "authority"),
    "empty": ({"authority": ""}, "authority"),
    "tenant by name": ({"tenants": ("contoso.com",)}, "tenant"),
    "tenant of everybody": ({"tenants": ("common",)}, "tenant"),
    "audience by URI": ({"audience": f"api://{AUDIENCE}"}, "audience"),
    "leeway too long": ({"leeway": timedelta(seconds=61)}, "leeway"),
    "leeway negative": ({"leeway": timedelta(seconds=-1)}, "leeway"),
    "age too long": ({"max_token_age": timedelta(hours=25)}, "max_token_age"),
    "no age": ({"max_token_age": timedelta()}, "max_token_age"),
    "size beyond the password message": ({"max_token_bytes": 64 * 1024 + 1}, "max_token_bytes"),
    "no size": ({"max_token_bytes": 0}, "max_token_bytes"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_settings_that_are_not_safe_are_faults(name: str) -> None:
    changes, key = FAULTS[name]
    with pytest.raises(InvalidFile) as invalid:
        EntraSettings(**{"tenants": (TENANT,), "audience": AUDIENCE, **changes})  # type: ignore[arg-type]
    assert [fault.split("`")[1] for fault in invalid.value.faults] == [key]


def test_all_faults_of_settings_are_told_at_once() -> None:
    with pytest.raises(InvalidFile) as invalid:
        EntraSettings(tenants=("x",), audience="y", authority="http://z")
    assert len(invalid.value.faults) == 3


def test_http_beyond_this_machine_has_to_be_asked_for() -> None:
    settings = EntraSettings(tenants=(TENANT,), audience=AUDIENCE, authority="http://emulator:8080", allow_http=True)
    assert settings.issuer(TENANT, "v2") == f"http://emulator:8080/{TENANT}/v2.0"


def test_every_provider_is_in_the_table() -> None:
    [folder] = pgjit.identity.providers.__path__
    files = {path.stem for path in Path(folder).glob("*.py")} - {"__init__"}
    assert set(PROVIDERS) == files


# --- the contract --------------------------------------------------------------------------------------------


class TestContract(ProviderContract):
    @pytest.fixture
    async def provider(self, entra: EntraProvider) -> AsyncIterator[Provider]:
        yield entra  # noqa: PT022 - as in the contract

    @pytest.fixture
    async def cut_off(self, emulator: Emulator) -> AsyncIterator[Provider]:
        def unreachable(request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("no route", request=request)

        started = EntraProvider(settings_for(emulator), transport=httpx.MockTransport(unreachable))
        await started.start()
        yield started
        await started.close()

    @pytest.fixture
    def make(self, emulator: Emulator) -> Callable[[str], str]:
        names = {
            "good": "good",
            "expired": "ended",
            "not-yet-valid": "not begun",
            "issued-in-future": "dated ahead",
            "no-end": "no end",
            "wrong-audience": "for another API",
            "several-audiences": "for several",
            "wrong-issuer": "of another tenant's issuer",
            "unsigned": "alg 'none', unsigned",
            "signed-with-public-key": "HS256 by the public key as PEM",
            "unknown-key": "key of a stranger",
            "foreign-signature": "key of a stranger under a good kid",
            "id-token": "id token",
        }
        return lambda name: good(emulator) if name == "good" else ATTACKS[names[name]][0](emulator)

    @pytest.fixture
    def owner(self, agent: AppCredentials) -> IdentityKey:
        return IdentityKey(TENANT, agent.oid)
