"""The authorization code grant: who is sent back with a code, and what a code is good for."""

from __future__ import annotations

import hashlib
import json
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from pgjit.demo.emulator import PrincipalKind, RegisteredPrincipal
from pgjit.demo.emulator.issuer import base64url
from tests.demo.emulator.clouds import AUDIENCE, Cast, cast, said
from tests.fakes.local_http import local_http

__all__ = ["cast"]  # a fixture

BACK = "https://console.test/signed-in"
VERIFIER = "v" * 43
CHALLENGE = base64url(hashlib.sha256(VERIFIER.encode()).digest())


@pytest.fixture
def client(cast: Cast) -> RegisteredPrincipal:
    return cast.emulator.directory.add(
        RegisteredPrincipal(
            kind=PrincipalKind.APP, display="a <console>", secrets=("a secret",), redirect_uris=(BACK,)
        )
    )


def query(client: RegisteredPrincipal, **changes: str | None) -> dict[str, str]:
    usual: dict[str, str | None] = {
        "client_id": client.client_id,
        "redirect_uri": BACK,
        "response_type": "code",
        "scope": f"{AUDIENCE}/.default openid profile offline_access",
        "state": "s t&ate",
        "nonce": "n",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return {name: value for name, value in (usual | changes).items() if value is not None}


async def visit(cast: Cast, method: str, asked: dict[str, str], user: str | None = None) -> httpx.Response:
    async with local_http() as http:
        data = None if user is None else {"user": user}
        return await http.request(method, cast.place("oauth2/v2.0/authorize"), params=asked, data=data)


async def code_of(cast: Cast, asked: dict[str, str]) -> str:
    answer = await visit(cast, "POST", asked, cast.person.oid)
    assert answer.status_code == 302, answer.text
    place = urlsplit(answer.headers["location"])
    given = dict(parse_qsl(place.query))
    assert (f"{place.scheme}://{place.netloc}{place.path}", given["state"]) == (BACK, "s t&ate")
    return given["code"]


def form(client: RegisteredPrincipal, code: str, **changes: str | None) -> dict[str, str]:
    usual: dict[str, str | None] = {
        "grant_type": "authorization_code",
        "client_id": client.client_id,
        "client_secret": "a secret",
        "redirect_uri": BACK,
        "code": code,
        "code_verifier": VERIFIER,
    }
    return {name: value for name, value in (usual | changes).items() if value is not None}


async def test_a_person_signs_in_and_the_client_gets_tokens(cast: Cast, client: RegisteredPrincipal) -> None:
    page = await visit(cast, "GET", query(client))
    assert page.status_code == 200
    assert "Ana Visser" in page.text
    assert "a &lt;console&gt;" in page.text
    assert "agent user" not in page.text
    answer = (await cast.post(form(client, await code_of(cast, query(client))))).json()
    access, identity = said(answer["access_token"]), said(answer["id_token"])
    assert (access["oid"], access["aud"], access["azp"]) == (cast.person.oid, AUDIENCE, client.client_id)
    assert "auth_time" in access
    assert (identity["nonce"], identity["aud"]) == ("n", client.client_id)
    renewal = {"grant_type": "refresh_token", "refresh_token": answer["refresh_token"]}
    renewed = await cast.token({**form(client, ""), **renewal})
    assert said(renewed)["auth_time"] == access["auth_time"]


async def test_a_context_that_is_asked_for_is_satisfied(cast: Cast, client: RegisteredPrincipal) -> None:
    claims = json.dumps({"access_token": {"acrs": {"essential": True, "value": "c1"}}})
    asked = query(client, claims=claims)
    assert "asks for the authentication context c1" in (await visit(cast, "GET", asked)).text
    assert said(await cast.token(form(client, await code_of(cast, asked))))["acrs"] == ["c1"]
    assert "acrs" not in said(await cast.token(form(client, await code_of(cast, query(client)))))


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"code_verifier": None}, 501481),
        ({"code_verifier": "w" * 43}, 501481),
        ({"code_verifier": "v" * 42}, 501481),
        ({"redirect_uri": "https://console.test/"}, 500112),
        ({"client_secret": "guess"}, 7000215),
        ({"code": "1.guess"}, 54005),
    ],
)
async def test_a_code_is_good_for_the_client_that_asked(
    changes: dict[str, str | None], number: int, cast: Cast, client: RegisteredPrincipal
) -> None:
    code = await code_of(cast, query(client))
    refused = await cast.post(form(client, **{"code": code, **changes}))  # type: ignore[arg-type]
    assert refused.json()["error_codes"] == [number]


async def test_a_code_is_used_once(cast: Cast, client: RegisteredPrincipal) -> None:
    code = await code_of(cast, query(client))
    await cast.token(form(client, code))
    assert (await cast.post(form(client, code))).json()["error_codes"] == [54005]


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"redirect_uri": "https://evil.test/signed-in"}, 50011),
        ({"redirect_uri": BACK + "/"}, 50011),
        ({"client_id": "9b2d7c1e-0f4a-4d8e-8b6c-5a3e1f2d4c60"}, 700016),
        ({"response_type": "token"}, 700054),
        ({"response_mode": "form_post"}, 700054),
        ({"code_challenge_method": "plain"}, 501481),
        ({"claims": "{"}, 9002313),
    ],
)
async def test_what_cannot_be_answered_is_shown_to_the_person(
    changes: dict[str, str], number: int, cast: Cast, client: RegisteredPrincipal
) -> None:
    for method in ("GET", "POST"):
        refused = await visit(cast, method, query(client, **changes), cast.person.oid if method == "POST" else None)
        assert (refused.status_code, refused.json()["error_codes"]) == (400, [number])
        assert "location" not in refused.headers


async def test_a_person_who_cancels_is_sent_back_without_a_code(cast: Cast, client: RegisteredPrincipal) -> None:
    for user in ("", "nobody"):
        answer = await visit(cast, "POST", query(client), user)
        assert "error=access_denied" in answer.headers["location"]
    answer = await visit(cast, "GET", query(client, prompt="none"))
    assert "error=login_required" in answer.headers["location"]


async def test_a_public_client_needs_a_challenge(cast: Cast) -> None:
    public = cast.emulator.directory.add(
        RegisteredPrincipal(kind=PrincipalKind.APP, display="public", public=True, redirect_uris=(BACK,))
    )
    refused = await visit(cast, "GET", query(public, code_challenge=None, code_challenge_method=None))
    assert refused.json()["error_codes"] == [9002325]
    code = await code_of(cast, query(public))
    await cast.token(form(public, code, client_secret=None))
