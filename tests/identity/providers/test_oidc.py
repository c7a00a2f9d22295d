"""Any OpenID Connect issuer as provider: held by the contract, and by what is its own."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import httpx
import jwt
import pytest

from pgjit.errors import InvalidFile, TokenRefused
from pgjit.identity.identity import Identity, IdentityKey, IdentityKind
from pgjit.identity.provider import Discovery, Provider
from pgjit.identity.providers.oidc import OidcProvider, OidcSettings
from tests.contracts.provider import ProviderContract
from tests.fakes.entra import ABSENT, Key

ISSUER = "https://login.example/realms/Shop"
AUDIENCE = "https://pgjit.example"
SUBJECT = "CaseMatters-17"
KEY, STRANGER = Key(), Key()


def claims(**changes: object) -> dict[str, object]:
    now = int(time.time())
    made: dict[str, object] = {
        "iss": ISSUER,
        "sub": SUBJECT,
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + 300,
        "jti": uuid.uuid4().hex,
        "client_id": "checker",
        "scope": "openid db",
        "groups": ["DB Readers"],
        **changes,
    }
    return {name: value for name, value in made.items() if value is not ABSENT}


def token(
    changes: dict[str, object] | None = None, *, key: Key = KEY, kid: str | None = None, typ: str = "at+jwt"
) -> str:
    headers = {"kid": kid or key.kid, "typ": typ}
    return jwt.PyJWS().encode(json.dumps(claims(**changes or {})).encode(), key.private, "RS256", headers)


def issuer(request: httpx.Request) -> httpx.Response:
    if request.url.path == "/realms/Shop/.well-known/openid-configuration":
        body: object = {"issuer": ISSUER, "jwks_uri": "https://login.example/realms/Shop/certs"}
    else:
        body = {"keys": [KEY.published()]}
    return httpx.Response(200, json=body)


class Streamed(httpx.AsyncBaseTransport):
    """Answers read from a stream, as what comes by network is."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response]) -> None:
        self._answer = answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        made = self._answer(request)
        return httpx.Response(made.status_code, headers=made.headers, stream=httpx.ByteStream(made.content))


async def opened(
    answer: Callable[[httpx.Request], httpx.Response] = issuer,
    *,
    keys: str | None = None,
    groups_claim: str = "groups",
) -> OidcProvider:
    settings = OidcSettings(issuer=ISSUER, audience=AUDIENCE, keys=keys, groups_claim=groups_claim)
    provider = OidcProvider(settings, transport=Streamed(answer))
    await provider.start()
    return provider


@pytest.fixture
async def oidc() -> AsyncIterator[OidcProvider]:
    provider = await opened()
    yield provider
    await provider.close()


async def verified(oidc: OidcProvider, **changes: object) -> Identity:
    return await oidc.verify(token(changes), datetime.now(UTC))


async def test_the_issuer_and_its_subject_are_the_identity_to_the_letter(oidc: OidcProvider) -> None:
    identity = await verified(oidc, name="Checker")
    assert identity.key == IdentityKey(ISSUER, SUBJECT)
    assert (identity.kind, identity.app_id, identity.display) == (IdentityKind.USER, "checker", "Checker")
    assert identity.groups == {"DB Readers"}
    assert identity.key != (await verified(oidc, sub=SUBJECT.lower())).key


@pytest.mark.parametrize("changes", [{"sub": "checker"}, {"sub": "checker@clients"}])
async def test_an_app_is_its_own_subject(oidc: OidcProvider, changes: dict[str, object]) -> None:
    assert (await verified(oidc, **changes)).kind is IdentityKind.APP


@pytest.mark.parametrize(
    ("claim", "changes", "groups"),
    [
        ("groups", {"groups": ABSENT}, set()),
        ("realm_access.roles", {"realm_access": {"roles": ["a", "b"]}}, {"a", "b"}),
        ("realm_access.roles", {"realm_access": ["a"]}, set()),
        ("realm_access.roles", {}, set()),
        ("https://shop.example/groups", {"https://shop.example/groups": ["a"]}, {"a"}),
    ],
)
async def test_groups_are_where_the_configuration_says(
    claim: str, changes: dict[str, object], groups: set[str]
) -> None:
    provider = await opened(groups_claim=claim)
    assert (await verified(provider, **changes)).groups == groups
    await provider.close()


REFUSED: dict[str, tuple[dict[str, object], str]] = {
    "issuer in another case": ({"iss": ISSUER.lower()}, "wrong-issuer"),
    "issuer with a slash": ({"iss": f"{ISSUER}/"}, "wrong-issuer"),
    "issuer as a list": ({"iss": [ISSUER]}, "bad-claim"),
    "audience by prefix": ({"aud": f"{AUDIENCE}/"}, "wrong-audience"),
    "audience among others": ({"aud": [AUDIENCE, "account"]}, "wrong-audience"),
    "no audience": ({"aud": ABSENT}, "wrong-audience"),
    "id token by its hash": ({"at_hash": "x"}, "id-token"),
    "id token by its type": ({"typ": "ID"}, "id-token"),
    "id token without a scope": ({"scope": ABSENT, "client_id": ABSENT, "azp": "checker"}, "id-token"),
    "for the app that got it": ({"client_id": AUDIENCE}, "id-token"),
    "two apps": ({"azp": "other"}, "not-an-access-token"),
    "no app": ({"client_id": ABSENT}, "not-an-access-token"),
    "no subject": ({"sub": ABSENT}, "missing-claim"),
    "empty subject": ({"sub": ""}, "bad-claim"),
    "subject with a line break": ({"sub": "a\nb"}, "bad-claim"),
    "no token id": ({"jti": ABSENT}, "missing-claim"),
    "groups as text": ({"groups": "DB Readers"}, "bad-claim"),
    "groups as numbers": ({"groups": [1]}, "bad-claim"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_not_certain_is_refused(oidc: OidcProvider, name: str) -> None:
    changes, reason = REFUSED[name]
    with pytest.raises(TokenRefused) as refused:
        await verified(oidc, **changes)
    assert refused.value.reason == reason


async def test_what_has_not_begun_is_refused(oidc: OidcProvider) -> None:
    now = datetime.now(UTC)
    with pytest.raises(TokenRefused) as refused:
        await oidc.verify(token({"nbf": int(now.timestamp()) + 600}), now)
    assert refused.value.reason == "not-yet-valid"


async def test_an_audience_that_is_a_list_of_ours_alone_is_ours(oidc: OidcProvider) -> None:
    assert (await verified(oidc, aud=[AUDIENCE])).key.oid == SUBJECT


@pytest.mark.parametrize(("typ", "taken"), [("JWT", True), ("at+jwt", True), ("logout+jwt", False), ("jose", False)])
async def test_the_type_in_the_header_is_an_access_tokens(oidc: OidcProvider, typ: str, taken: bool) -> None:
    if taken:
        assert (await oidc.verify(token(typ=typ), datetime.now(UTC))).app_id == "checker"
        return
    with pytest.raises(TokenRefused) as refused:
        await oidc.verify(token(typ=typ), datetime.now(UTC))
    assert refused.value.reason == "wrong-type"


@pytest.mark.parametrize(
    ("named", "pinned", "ready"),
    [
        ("https://keys.example/set", None, False),
        ("https://keys.example/set", "https://keys.example/set", True),
        ("https://keys.example/other", "https://keys.example/set", False),
        ("https://login.example/realms/Shop/certs", "https://keys.example/set", False),
    ],
)
async def test_keys_come_from_the_issuers_host_or_from_the_one_place_that_is_pinned(
    caplog: pytest.LogCaptureFixture, named: str, pinned: str | None, ready: bool
) -> None:
    asked: list[str] = []

    def elsewhere(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        if request.url.path.endswith("openid-configuration"):
            return httpx.Response(200, json={"issuer": ISSUER, "jwks_uri": named})
        return httpx.Response(200, json={"keys": [KEY.published()]})

    provider = await opened(elsewhere, keys=pinned)
    if ready:
        assert (await verified(provider)).app_id == "checker"
    else:
        with pytest.raises(Exception, match="cannot be checked now"):
            await verified(provider)
        assert len(asked) == 1
        assert "the metadata names keys" in caplog.text
    await provider.close()


async def test_it_says_where_tokens_come_from(oidc: OidcProvider) -> None:
    assert oidc.discovery == Discovery(f"{ISSUER}/.well-known/openid-configuration", "openid")


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"issuer": "http://login.example"}, "issuer"),
        ({"issuer": "https://login.example/?tenant=1"}, "issuer"),
        ({"issuer": "https://user:secret@login.example"}, "issuer"),
        ({"issuer": "login.example"}, "issuer"),
        ({"keys": "http://keys.example/set"}, "keys"),
        ({"audience": ""}, "audience"),
    ],
)
def test_settings_that_are_not_safe_are_faults(change: dict[str, str], key: str) -> None:
    with pytest.raises(InvalidFile) as invalid:
        OidcSettings(**{"issuer": ISSUER, "audience": AUDIENCE, **change})  # type: ignore[arg-type]
    assert [fault.split("`")[1] for fault in invalid.value.faults] == [key]


class TestContract(ProviderContract):
    @pytest.fixture
    async def provider(self, oidc: OidcProvider) -> AsyncIterator[Provider]:
        yield oidc  # noqa: PT022 - as in the contract

    @pytest.fixture
    async def cut_off(self) -> AsyncIterator[Provider]:
        def unreachable(request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("no route", request=request)

        started = await opened(unreachable)
        yield started
        await started.close()

    @pytest.fixture
    def make(self) -> Callable[[str], str]:
        now = int(time.time())
        changed: dict[str, dict[str, object]] = {
            "good": {},
            "expired": {"exp": now - 120},
            "not-yet-valid": {"nbf": now + 600, "exp": now + 900},
            "issued-in-future": {"iat": now + 600, "exp": now + 900},
            "no-end": {"exp": ABSENT},
            "wrong-audience": {"aud": "account"},
            "several-audiences": {"aud": [AUDIENCE, "account"]},
            "wrong-issuer": {"iss": "https://evil.example"},
            "id-token": {"nonce": "n"},
        }

        def made(name: str) -> str:
            match name:
                case "unsigned":
                    return jwt.encode(claims(), "", algorithm="none", headers={"kid": KEY.kid})
                case "signed-with-public-key":
                    secret = str(KEY.published()["n"])
                    return jwt.encode(claims(), secret, algorithm="HS256", headers={"kid": KEY.kid})
                case "unknown-key":
                    return token(key=STRANGER)
                case "foreign-signature":
                    return token(key=STRANGER, kid=KEY.kid)
                case _:
                    return token(changed[name])

        return made

    @pytest.fixture
    def owner(self) -> IdentityKey:
        return IdentityKey(ISSUER, SUBJECT)
