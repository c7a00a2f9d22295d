"""The endpoints of managed identities, as a machine and as App Service have them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from pgjit.demo.emulator import FederatedCredential, PrincipalKind, RegisteredPrincipal
from tests.demo.emulator.clouds import AUDIENCE, GROUP, OTHER, TENANT, Cast, cast, said
from tests.fakes.local_http import local_http

__all__ = ["cast"]  # a fixture

MACHINE, APP_SERVICE = "/metadata/identity/oauth2/token", "/msi/token"


async def ask(
    cast: Cast, path: str = MACHINE, headers: Mapping[str, str] | None = None, **query: str
) -> httpx.Response:
    usual = {"Metadata": "true"} if path == MACHINE else {"X-IDENTITY-HEADER": cast.emulator.identity_header}
    params = {"resource": f"api://{AUDIENCE}", "api-version": "2018-02-01", **query}
    async with local_http() as client:
        return await client.get(
            cast.emulator.identity_url + path,
            params={name: value for name, value in params.items() if value},
            headers=usual if headers is None else headers,
        )


@pytest.mark.parametrize("path", [MACHINE, APP_SERVICE])
async def test_the_machines_own_identity_gets_a_token_for_a_day(cast: Cast, path: str) -> None:
    answer = (await ask(cast, path)).json()
    claims = said(answer["access_token"])
    assert (claims["oid"], claims["azpacr"], claims["groups"]) == (cast.machine.oid, "2", [GROUP])
    assert answer["client_id"] == cast.machine.client_id
    assert abs(int(answer["expires_on"]) - int(str(claims["exp"]))) <= 1
    assert abs(int(answer["expires_on"]) - datetime.now(UTC).timestamp() - 86_400) < 60


async def test_one_of_several_is_named(cast: Cast) -> None:
    other = cast.emulator.directory.add(RegisteredPrincipal(kind=PrincipalKind.MANAGED_IDENTITY, display="other"))
    for name, value in (("client_id", str(other.client_id)), ("object_id", other.oid)):
        assert (await ask(cast, MACHINE, None, **{name: value})).json()["client_id"] == other.client_id
    assert (await ask(cast)).json()["client_id"] == cast.machine.client_id
    cast.emulator.directory.delete(cast.machine.oid)
    assert (await ask(cast)).json()["client_id"] == other.client_id
    cast.emulator.directory.add(RegisteredPrincipal(kind=PrincipalKind.MANAGED_IDENTITY, display="a third"))
    assert "Multiple user assigned" in (await ask(cast)).json()["error_description"]


async def test_a_token_is_kept_so_a_membership_comes_late(cast: Cast) -> None:
    first = (await ask(cast)).json()["access_token"]
    await cast.admin("DELETE", f"groups/{GROUP}/members/{cast.machine.oid}", status=204)
    assert (await ask(cast)).json()["access_token"] == first
    at = datetime.now(UTC) + timedelta(hours=13)
    cast.emulator.cloud.now = lambda: at
    assert "groups" not in said((await ask(cast)).json()["access_token"])


async def test_kept_tokens_can_be_forgotten(cast: Cast) -> None:
    await ask(cast)
    await cast.admin("DELETE", f"groups/{GROUP}/members/{cast.machine.oid}", status=204)
    await cast.admin("DELETE", "managed-identity-tokens", status=204)
    assert "groups" not in said((await ask(cast)).json()["access_token"])


REFUSED: dict[str, tuple[str, dict[str, str] | None, dict[str, str], int]] = {
    "without the header": (MACHINE, {}, {}, 400),
    "through a proxy": (MACHINE, {"Metadata": "true", "X-Forwarded-For": "192.0.2.1"}, {}, 400),
    "without a version": (MACHINE, None, {"api-version": ""}, 400),
    "without a resource": (MACHINE, None, {"resource": ""}, 400),
    "for an unknown resource": (MACHINE, None, {"resource": "https://evil.example"}, 400),
    "as an identity that is not there": (MACHINE, None, {"client_id": OTHER}, 400),
    "without App Service's header": (APP_SERVICE, {}, {}, 401),
    "with another header for App Service": (APP_SERVICE, {"X-IDENTITY-HEADER": "guess"}, {}, 401),
    "by App Service without a resource": (APP_SERVICE, None, {"resource": ""}, 400),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_request_that_is_wrong_gets_no_token(cast: Cast, name: str) -> None:
    path, headers, query, status = REFUSED[name]
    response = await ask(cast, path, headers, **query)
    assert response.status_code == status
    assert "access_token" not in response.json()


async def test_a_disabled_identity_gets_no_token(cast: Cast) -> None:
    cast.machine.enabled = False
    assert "access_token" not in (await ask(cast)).json()


async def test_nothing_else_is_served_on_that_port(cast: Cast) -> None:
    async with local_http() as client:
        for path in (f"/{TENANT}/discovery/v2.0/keys", "/admin/state", "/"):
            assert (await client.get(cast.emulator.identity_url + path)).status_code == 404


async def test_an_identity_can_be_an_apps_federated_credential(cast: Cast) -> None:
    proof = (await ask(cast, resource="api://AzureADTokenExchange")).json()["access_token"]
    form = cast.form(cast.federated, client_assertion=proof)
    assert (await cast.post(form)).json()["error_codes"] == [700211]
    cast.federated.federated += (FederatedCredential(cast.emulator.issuer, cast.machine.oid),)
    assert said(await cast.token(form))["oid"] == cast.federated.oid
