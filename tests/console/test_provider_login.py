"""The authorization code flow against the emulator: what is asked, and which answers count."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

import jwt
import pytest

from pgjit.api.console_section import ConsoleSection
from pgjit.console.cookie_secret import CookieSecret
from pgjit.console.provider_login import ProviderLogin, TokensRefused
from pgjit.console.refusals import SignInRefused
from pgjit.demo.emulator import Emulator, Fault, FaultKind, PrincipalKind, RegisteredPrincipal
from pgjit.errors import ServerUnavailable
from pgjit.identity.provider import Discovery
from pgjit.server.credential import MIN_REFETCH_SECONDS, FetchedSecret, FixedSecret, RenewedSecret
from tests.fakes.local_http import local_http
from tests.run.waiting import until

pytestmark = pytest.mark.live
URL = "https://console.test"


@dataclass
class Flow:
    emulator: Emulator
    ana: RegisteredPrincipal
    login: ProviderLogin

    async def answer(self, secret: CookieSecret, **asked: object) -> dict[str, str]:
        """The query with which the provider sends Ana's browser back."""
        place = await self.login.address(secret, **asked)  # type: ignore[arg-type]
        async with local_http() as http:
            back = await http.post(place, data={"user": self.ana.oid})
        return dict(parse_qsl(urlsplit(back.headers["location"]).query))


@pytest.fixture
async def flow() -> AsyncIterator[Flow]:
    emulator = Emulator()
    await emulator.start()
    client = RegisteredPrincipal(
        kind=PrincipalKind.APP, display="console", secrets=("a secret",), redirect_uris=(f"{URL}/signed-in",)
    )
    emulator.directory.add(client)
    ana = emulator.directory.add(RegisteredPrincipal(kind=PrincipalKind.USER, display="Ana"))
    section = ConsoleSection(url=URL, client_id=str(client.client_id))
    metadata = f"{emulator.issuer}/.well-known/openid-configuration"
    discovery = Discovery(metadata, f"{emulator.people_audience}/.default")
    yield Flow(emulator, ana, ProviderLogin(section, discovery, FixedSecret("a secret")))
    await emulator.close()


def claims(token: str) -> dict[str, object]:
    read: dict[str, object] = jwt.decode(token, options={"verify_signature": False})
    return read


async def test_the_tokens_are_of_the_person_for_the_api(flow: Flow) -> None:
    secret = CookieSecret.new()
    tokens = await flow.login.redeem(secret, await flow.answer(secret))
    read = claims(tokens.access)
    assert (read["oid"], read["aud"]) == (flow.ana.oid, flow.emulator.people_audience)
    assert tokens.id_claims["oid"] == flow.ana.oid
    assert tokens.refresh is not None
    assert claims((await flow.login.renew(tokens.refresh)).access)["oid"] == flow.ana.oid
    for hidden in (tokens.access, tokens.refresh, secret.text):
        assert hidden not in repr((tokens, secret))


async def test_the_secret_of_the_cookie_is_not_in_the_address(flow: Flow) -> None:
    secret = CookieSecret.new()
    place = await flow.login.address(secret)
    asked = dict(parse_qsl(urlsplit(place).query))
    assert secret.text not in place
    assert (asked["code_challenge_method"], asked["response_type"]) == ("S256", "code")
    assert asked["redirect_uri"] == f"{URL}/signed-in"
    assert len({asked["state"], asked["nonce"], asked["code_challenge"]}) == 3


async def test_a_sign_in_anew_may_ask_for_a_context(flow: Flow) -> None:
    secret = CookieSecret.new()
    answer = await flow.answer(secret, again=True, contexts=("c1",))
    assert "prompt=login" in await flow.login.address(secret, again=True)
    assert claims((await flow.login.redeem(secret, answer)).access)["acrs"] == ["c1"]


async def test_an_answer_to_another_browser_is_refused(flow: Flow) -> None:
    mine, other = CookieSecret.new(), CookieSecret.new()
    answer = await flow.answer(other)
    with pytest.raises(SignInRefused, match="sign-in was refused"):
        await flow.login.redeem(mine, answer)
    # The state of this browser with the code of another: the verifier does not fit.
    own = await flow.answer(mine)
    with pytest.raises(SignInRefused) as refused:
        await flow.login.redeem(mine, {**answer, "state": own["state"]})
    assert refused.value.detail == "The identity provider refused the token request: `invalid_grant`."


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"code": ""}, "answered `nothing`"),
        ({"error": "access_denied"}, "answered `access_denied`"),
        ({"error": "<script>alert(1)</script>"}, "answered `unknown`"),
        ({"iss": "https://evil.test"}, "another issuer"),
        ({"code": "1.guess"}, "refused the token request: `invalid_grant`"),
    ],
)
async def test_an_answer_that_is_no_code_signs_nobody_in(changes: dict[str, str], detail: str, flow: Flow) -> None:
    secret = CookieSecret.new()
    with pytest.raises(SignInRefused) as refused:
        await flow.login.redeem(secret, {**await flow.answer(secret), **changes})
    assert detail in str(refused.value.detail)


async def test_a_code_that_was_used_signs_nobody_in(flow: Flow) -> None:
    secret = CookieSecret.new()
    answer = await flow.answer(secret)
    await flow.login.redeem(secret, answer)
    with pytest.raises(SignInRefused):
        await flow.login.redeem(secret, answer)


async def test_a_client_secret_that_was_replaced_is_fetched_again(
    flow: Flow, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pgjit.console")
    secrets = ["an old secret", "a secret"]

    async def fetch() -> FetchedSecret:
        return FetchedSecret(secrets.pop(0), 3600)

    moments = iter((0.0,))  # of the first fetch
    flow.login._secret = RenewedSecret(fetch, now=lambda: next(moments, MIN_REFETCH_SECONDS))
    secret = CookieSecret.new()
    with pytest.raises(ServerUnavailable) as refused:
        await flow.login.redeem(secret, await flow.answer(secret))
    assert "invalid_client" in str(refused.value.detail)
    for _ in range(2):
        tokens = await flow.login.redeem(secret, await flow.answer(secret))
    assert secrets == []
    flow.login._secret = FixedSecret("not the secret")
    with pytest.raises(ServerUnavailable):  # and not TokensRefused, which ends the sign-in
        await flow.login.renew(str(tokens.refresh))
    assert [record.levelname for record in caplog.records if record.name == "pgjit.console"] == [
        "ERROR",
        "INFO",
        "ERROR",
    ]
    assert "an old secret" not in caplog.text


async def test_a_refresh_token_that_the_provider_refuses_ends_the_sign_in(flow: Flow) -> None:
    secret = CookieSecret.new()
    tokens = await flow.login.redeem(secret, await flow.answer(secret))
    flow.ana.enabled = False
    with pytest.raises(TokensRefused):
        await flow.login.renew(str(tokens.refresh))


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind=FaultKind.STATUS, status=503),
        Fault(kind=FaultKind.BODY),
        Fault(kind=FaultKind.RESET),
        Fault(kind=FaultKind.REDIRECT),
        Fault(kind=FaultKind.BODY, body="{}"),
        Fault(kind=FaultKind.BODY, body='{"access_token": 1}'),
        Fault(kind=FaultKind.BODY, body='{"access_token": "x", "id_token": "y"}'),
        Fault(kind=FaultKind.BODY, body='{"access_token": "' + "x" * 600_000 + '"}'),
    ],
    ids=lambda fault: f"{fault.kind} {fault.body[:24]}",
)
async def test_a_provider_that_is_away_is_no_refusal(fault: Fault, flow: Flow) -> None:
    secret = CookieSecret.new()
    answer = await flow.answer(secret)
    flow.emulator.faults.put("token", fault)
    with pytest.raises(ServerUnavailable) as away:
        await flow.login.redeem(secret, answer)
    assert away.value.reference == "provider-unavailable"
    with pytest.raises(ServerUnavailable):
        await flow.login.renew("1.token")


async def test_who_is_signed_in_does_not_wait_behind_the_codes_of_strangers(flow: Flow) -> None:
    mine = CookieSecret.new()
    tokens = await flow.login.redeem(mine, await flow.answer(mine))
    flow.emulator.faults.put("token", Fault(kind=FaultKind.SLOW, seconds=300, times=8))
    async with asyncio.TaskGroup() as strangers:
        redeemed = []
        for _ in range(9):
            secret = CookieSecret.new()
            answer = {**await flow.answer(secret), "code": "1.guess"}
            redeemed.append(strangers.create_task(flow.login.redeem(secret, answer)))
        await until(lambda: flow.emulator.faults.counts["token"] == 9)
        assert claims((await flow.login.renew(str(tokens.refresh))).access)["oid"] == flow.ana.oid
        assert not any(each.done() for each in redeemed)
        for each in redeemed:
            each.cancel()


async def test_without_metadata_nobody_is_sent_anywhere(flow: Flow) -> None:
    flow.emulator.faults.put("metadata", Fault(kind=FaultKind.STATUS, status=500))
    with pytest.raises(ServerUnavailable):
        await flow.login.address(CookieSecret.new())
    flow.emulator.faults.clear()
    assert (await flow.login.address(CookieSecret.new())).startswith(flow.emulator.url)
    flow.emulator.faults.put("metadata", Fault(kind=FaultKind.STATUS, status=500))
    assert (await flow.login.address(CookieSecret.new())).startswith(flow.emulator.url)  # as it was read before


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint"])
async def test_endpoints_that_are_not_protected_are_not_used(name: str, flow: Flow) -> None:
    body = (
        '{"issuer": "x", "authorization_endpoint": "https://p.test/a", "token_endpoint": "https://p.test/t", '
        f'"{name}": "http://p.test/x"}}'
    )
    flow.emulator.faults.put("metadata", Fault(kind=FaultKind.BODY, body=body))
    with pytest.raises(ServerUnavailable):
        await flow.login.address(CookieSecret.new())


@pytest.mark.parametrize(
    ("configured", "asked"),
    [
        (None, "openid profile offline_access"),
        ("api:use openid", "api:use openid profile offline_access"),
    ],
)
async def test_each_scope_is_asked_for_once(configured: str | None, asked: str, flow: Flow) -> None:
    section = ConsoleSection(url=URL, client_id="c", scope=configured)
    discovery = Discovery(f"{flow.emulator.issuer}/.well-known/openid-configuration", "openid")
    place = await ProviderLogin(section, discovery, None).address(CookieSecret.new())
    assert dict(parse_qsl(urlsplit(place).query))["scope"] == asked
