"""The admin API: what may be changed while the emulator runs, and by whom."""

from __future__ import annotations

import httpx
import jwt
import pytest

from pgjit.demo.emulator import Emulator, EmulatorSettings
from tests.demo.emulator.clouds import AUDIENCE, GROUP, OTHER, SCOPE, TENANT, Cast, Certified, cast, said
from tests.fakes.local_http import local_http

__all__ = ["cast"]  # a fixture

KEY = "a key of sixteen and more"


async def test_a_principal_is_added_gets_a_token_and_is_seen(cast: Cast) -> None:
    body = {"name": "new", "groups": [GROUP], "roles": ["Read"], "acrs": ["c1"]}
    made = (await cast.admin("POST", "principals", body, 201)).json()
    form = {"grant_type": "client_credentials", "client_id": made["client_id"], "client_secret": made["secret"]}
    claims = said(await cast.token({**form, "scope": SCOPE}))
    assert [claims[name] for name in ("oid", "groups", "roles", "acrs")] == [made["oid"], [GROUP], ["Read"], ["c1"]]
    state = (await cast.admin("GET", "state")).text
    assert made["oid"] in state
    assert made["secret"] not in state


async def test_principals_of_every_kind_are_added(cast: Cast) -> None:
    certificate = Certified()
    pem = certificate.pem.decode().partition("-----BEGIN CERTIFICATE")
    bodies: list[dict[str, object]] = [
        {"kind": "user", "name": "Ben Okafor", "upn": "ben@example.com"},
        {"kind": "managed-identity", "name": "machine"},
        {"kind": "blueprint", "name": "blueprint"},
        {"kind": "agent", "name": "agent", "parent": cast.blueprint.client_id},
        {"kind": "agent-user", "name": "agent user", "parent": cast.agent.client_id},
        {"name": "app with a certificate", "certificate": pem[1] + pem[2]},
        {"name": "federated", "federated": [{"issuer": "https://example.com", "subject": "x"}]},
        {"name": "app of another tenant", "tenant": OTHER},
    ]
    for body in bodies:
        await cast.admin("POST", "principals", body, 201)


BAD: dict[str, dict[str, object]] = {
    "an agent without a blueprint": {"kind": "agent", "name": "x"},
    "a person with a secret": {"kind": "user", "name": "x", "secret": "s"},
    "a group that is no GUID": {"name": "x", "groups": ["admins"]},
    "an unknown kind": {"name": "x", "kind": "robot"},
    "an unknown key": {"name": "x", "admin": True},
    "a certificate that is none": {"name": "x", "certificate": "nonsense"},
}


@pytest.mark.parametrize("name", BAD)
async def test_a_principal_that_makes_no_sense_is_not_added(cast: Cast, name: str) -> None:
    before = (await cast.admin("GET", "state")).text
    await cast.admin("POST", "principals", BAD[name], 422)
    assert (await cast.admin("GET", "state")).text == before


async def test_what_is_not_there_is_not_changed(cast: Cast) -> None:
    await cast.admin("PATCH", f"principals/{OTHER}", {"enabled": False}, 404)
    await cast.admin("DELETE", f"principals/{OTHER}", status=404)
    await cast.admin("PUT", f"groups/{GROUP}/members/{OTHER}", status=404)
    await cast.admin("DELETE", f"groups/{OTHER}/members/{cast.app.oid}", status=404)
    await cast.admin("POST", "principals", {"name": "x", "tenant": GROUP}, 404)


async def test_the_api_registration_is_changed_as_a_whole(cast: Cast) -> None:
    await cast.admin("PUT", "api", {"version": 1, "group_claims": "none", "optional_claims": []})
    claims = said(await cast.token(cast.form(cast.app, f"api://{AUDIENCE}/.default")))
    assert (claims["ver"], claims["aud"]) == ("1.0", f"api://{AUDIENCE}")
    assert {"groups", "idtyp"}.isdisjoint(claims)
    await cast.admin("PUT", "api", {"optional_claims": ["surprise"]}, 422)
    await cast.admin("PUT", "api", {"version": 3}, 422)


async def test_keys_are_rotated(cast: Cast) -> None:
    before = jwt.get_unverified_header(await cast.token(cast.form(cast.app)))["kid"]
    kid = (await cast.admin("POST", "keys/rotate", {"keep_old": True})).json()["kid"]
    assert jwt.get_unverified_header(await cast.token(cast.form(cast.app)))["kid"] == kid != before
    assert [key.kid for key in cast.emulator.cloud.issuer.keys] == [kid, before]
    await cast.admin("POST", "keys/rotate", {})
    assert len(cast.emulator.cloud.issuer.keys) == 1


async def test_a_tenant_is_added(cast: Cast) -> None:
    tenant = "22222222-2222-4222-8222-222222222222"
    assert (await cast.post({"grant_type": ""}, tenant=tenant)).json()["error"] == "invalid_tenant"
    await cast.admin("POST", "tenants", {"tenant": tenant}, 201)
    assert (await cast.post({"grant_type": ""}, tenant=tenant)).json()["error"] == "invalid_request"


async def test_any_claims_are_signed(cast: Cast) -> None:
    answer = await cast.admin("POST", "sign", {"claims": {"exp": "never"}, "header": {"typ": "at+jwt"}})
    token = answer.json()["token"]
    assert said(token) == {"exp": "never"}
    assert jwt.get_unverified_header(token)["typ"] == "at+jwt"


async def call(emulator: Emulator, method: str = "POST", path: str = "sign", **request: object) -> httpx.Response:
    async with local_http() as client:
        return await client.request(method, f"{emulator.url}/admin/{path}", **request)  # type: ignore[arg-type]


async def test_any_claims_are_signed_only_where_that_was_switched_on() -> None:
    running = Emulator(EmulatorSettings(tenant=TENANT))
    await running.start()
    try:
        response = await call(running, json={"claims": {}})
    finally:
        await running.close()
    assert response.status_code == 403
    assert "token" not in response.json()


async def test_a_page_in_a_browser_cannot_use_it(cast: Cast) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    response = await call(cast.emulator, path="keys/rotate", content=b"{}", headers=form)
    assert response.status_code == 415
    response = await call(cast.emulator, path="keys/rotate", content=b"{}", headers={"content-type": "text/plain"})
    assert response.status_code == 415


@pytest.mark.parametrize(
    ("host", "key", "given", "status"),
    [
        ("127.0.0.1", None, None, 200),
        ("127.0.0.1", KEY, None, 401),
        ("127.0.0.1", KEY, "guess", 401),
        ("127.0.0.1", KEY, KEY, 200),
        ("0.0.0.0", None, None, 403),
        ("0.0.0.0", None, KEY, 403),
        ("0.0.0.0", KEY, None, 401),
        ("0.0.0.0", KEY, KEY, 200),
    ],
)
async def test_who_comes_from_elsewhere_needs_a_key(
    host: str, key: str | None, given: str | None, status: int
) -> None:
    running = Emulator(EmulatorSettings(tenant=TENANT, admin_key=key))
    await running.start(host)
    try:
        headers = {} if given is None else {"Authorization": f"Bearer {given}"}
        assert (await call(running, "GET", "state", headers=headers)).status_code == status
    finally:
        await running.close()
