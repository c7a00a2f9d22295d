"""Discovery: where a client is led from any address that the emulator has."""

from __future__ import annotations

import base64
import ssl

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1

from pgjit.demo.emulator import Emulator
from pgjit.demo.emulator.issuer import base64url
from pgjit.demo.emulator.settings import EmulatorSettings
from tests.demo.emulator.clouds import OTHER, TENANT, Cast, cast

__all__ = ["cast"]  # a fixture


async def get(cast: Cast, path: str, *, tls: bool = False) -> httpx.Response:
    context = ssl.create_default_context(cafile=str(cast.certificates.authority))
    async with httpx.AsyncClient(trust_env=False, verify=context) as client:
        return await client.get((cast.emulator.tls_url if tls else cast.emulator.url) + path)


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize(("infix", "tail"), [("/v2.0", "/v2.0"), ("", "/")])
async def test_a_document_names_its_own_address_and_the_one_issuer(
    cast: Cast, tls: bool, infix: str, tail: str
) -> None:
    base = cast.emulator.tls_url if tls else cast.emulator.url
    for tenant in (TENANT, OTHER):
        document = (await get(cast, f"/{tenant}{infix}/.well-known/openid-configuration", tls=tls)).json()
        assert document["issuer"] == f"{cast.emulator.url}/{tenant}{tail}"
        for name in ("token_endpoint", "jwks_uri", "authorization_endpoint", "device_authorization_endpoint"):
            assert document[name].startswith(f"{base}/{tenant}/")
        keys = (await get(cast, document["jwks_uri"].removeprefix(base), tls=tls)).json()["keys"]
        assert {key.get("issuer") for key in keys} == {document["issuer"] if infix else None}


async def test_the_sign_in_page_may_have_another_address_for_browsers() -> None:
    emulator = Emulator(EmulatorSettings(tenant=TENANT, browser_url="http://login.test:8080"))
    await emulator.start()
    try:
        async with httpx.AsyncClient(trust_env=False) as client:
            place = f"{emulator.url}/{TENANT}/v2.0/.well-known/openid-configuration"
            document = (await client.get(place)).json()
    finally:
        await emulator.close()
    assert document["authorization_endpoint"] == f"http://login.test:8080/{TENANT}/oauth2/v2.0/authorize"
    assert document["token_endpoint"] == f"{emulator.url}/{TENANT}/oauth2/v2.0/token"


@pytest.mark.parametrize("tenant", ["common", "organizations"])
async def test_the_document_of_all_tenants_leaves_the_tenant_open(cast: Cast, tenant: str) -> None:
    document = (await get(cast, f"/{tenant}/v2.0/.well-known/openid-configuration")).json()
    assert document["issuer"] == f"{cast.emulator.url}/{{tenantid}}/v2.0"
    [key] = (await get(cast, f"/{tenant}/discovery/v2.0/keys")).json()["keys"]
    assert key["issuer"] == document["issuer"]


async def test_all_tenants_have_the_same_keys(cast: Cast) -> None:
    one, other = [(await get(cast, f"/{tenant}/discovery/v2.0/keys")).json()["keys"] for tenant in (TENANT, OTHER)]
    assert [key["kid"] for key in one] == [key["kid"] for key in other]


async def test_a_key_is_in_its_certificate(cast: Cast) -> None:
    [key] = (await get(cast, f"/{TENANT}/discovery/v2.0/keys")).json()["keys"]
    certificate = x509.load_der_x509_certificate(base64.b64decode(key["x5c"][0]))
    assert base64url(certificate.fingerprint(SHA1())) == key["kid"] == key["x5t"]
    assert certificate.public_key() == cast.emulator.signing_key.private.public_key()


async def test_instance_discovery_knows_its_own_addresses_only(cast: Cast) -> None:
    place = f"{cast.emulator.tls_url}/{TENANT}/oauth2/v2.0/authorize"
    answer = (await get(cast, f"/common/discovery/instance?authorization_endpoint={place}", tls=True)).json()
    assert answer["tenant_discovery_endpoint"].startswith(f"{cast.emulator.tls_url}/{TENANT}/v2.0/")
    assert len(answer["metadata"][0]["aliases"]) == 2
    for bad in ("https://evil.example/common/oauth2/authorize", "", cast.emulator.tls_url, place.replace("s:", ":")):
        refused = await get(cast, f"/common/discovery/instance?authorization_endpoint={bad}")
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_instance")


async def test_the_workload_platform_has_a_document_and_keys_of_its_own(cast: Cast) -> None:
    document = (await get(cast, "/workload/.well-known/openid-configuration")).json()
    assert document["issuer"] == cast.emulator.cloud.workload_issuer
    [key] = (await get(cast, document["jwks_uri"].removeprefix(cast.emulator.url))).json()["keys"]
    assert key["kid"] != cast.emulator.signing_key.kid
