"""Microsoft's own client libraries get tokens from the emulator, over TLS where they insist on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeAlias

import azure.identity as azure
import msal
import pytest
import requests

from pgjit.demo.emulator import AZURE_CLI
from tests.demo.emulator.clouds import AUDIENCE, EXCHANGE, SCOPE, SUBJECT, TENANT, Cast, cast, said

__all__ = ["cast"]  # a fixture

# Its credentials have no common type that is public.
Credential: TypeAlias = AbstractContextManager[Any]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "AZURE_POD_IDENTITY_AUTHORITY_HOST", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


def common(cast: Cast) -> dict[str, Any]:
    return {
        "authority": cast.emulator.tls_url,
        "disable_instance_discovery": True,
        "connection_verify": str(cast.certificates.authority),
    }


def by_secret(cast: Cast, folder: Path) -> Credential:
    app = cast.app
    return azure.ClientSecretCredential(TENANT, str(app.client_id), app.secrets[0], **common(cast))


def by_certificate(cast: Cast, folder: Path) -> Credential:
    client_id = str(cast.certified.client_id)
    return azure.CertificateCredential(TENANT, client_id, certificate_data=cast.certificate.pem, **common(cast))


def by_workload_identity(cast: Cast, folder: Path) -> Credential:
    at = int(cast.emulator.cloud.now().timestamp())
    claims = {"iss": cast.emulator.cloud.workload_issuer, "sub": SUBJECT, "aud": "api://AzureADTokenExchange"}
    path = folder / "federated-token"
    path.write_text(cast.emulator.cloud.workload.sign({**claims, "iat": at, "exp": at + 600}))
    client_id = str(cast.federated.client_id)
    return azure.WorkloadIdentityCredential(
        tenant_id=TENANT, client_id=client_id, token_file_path=str(path), **common(cast)
    )


def by_device_code(cast: Cast, folder: Path) -> Credential:
    """The person says yes as soon as the code is shown."""

    def shown(place: str, code: str, ends: object) -> None:
        assert cast.emulator.cloud.codes.decide(code, cast.person.oid)

    return azure.DeviceCodeCredential(AZURE_CLI, tenant_id=TENANT, prompt_callback=shown, **common(cast))


CREDENTIALS: dict[str, tuple[Callable[[Cast, Path], Credential], Callable[[Cast], str], str]] = {
    "secret": (by_secret, lambda c: c.app.oid, "1"),
    "certificate": (by_certificate, lambda c: c.certified.oid, "2"),
    "workload identity": (by_workload_identity, lambda c: c.federated.oid, "2"),
    "device code": (by_device_code, lambda c: c.person.oid, "0"),
}


@pytest.mark.parametrize("name", CREDENTIALS)
async def test_azure_identity_gets_a_token(cast: Cast, tmp_path: Path, name: str) -> None:
    make, oid, credential = CREDENTIALS[name]

    def get() -> str:
        with make(cast, tmp_path) as made:
            return str(made.get_token(SCOPE).token)

    claims = said(await asyncio.to_thread(get))
    assert (claims["oid"], claims["azpacr"], claims["aud"]) == (oid(cast), credential, AUDIENCE)


@pytest.mark.parametrize("kind", ["machine", "app service"])
async def test_azure_identity_gets_a_managed_identitys_token(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    if kind == "machine":
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", cast.emulator.identity_url)
    else:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{cast.emulator.identity_url}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", cast.emulator.identity_header)

    def get(client_id: str | None) -> str:
        with azure.ManagedIdentityCredential(client_id=client_id) as made:
            return str(made.get_token(SCOPE).token)

    for client_id in (None, cast.machine.client_id):
        assert said(await asyncio.to_thread(get, client_id))["oid"] == cast.machine.oid


@pytest.fixture
def session(cast: Cast) -> Iterator[requests.Session]:
    with requests.Session() as made:
        made.trust_env = False
        made.verify = str(cast.certificates.authority)
        yield made


def confidential(
    cast: Cast, session: requests.Session, client_id: str | None, credential: object
) -> msal.ConfidentialClientApplication:
    return msal.ConfidentialClientApplication(
        client_id,
        client_credential=credential,
        authority=f"{cast.emulator.tls_url}/{TENANT}",
        instance_discovery=False,
        http_client=session,
    )


async def test_msal_gets_a_token_by_secret_and_by_certificate(cast: Cast, session: requests.Session) -> None:
    pem = cast.certificate.pem.decode()
    certificate = {
        "private_key": pem.partition("-----BEGIN CERTIFICATE")[0],
        "public_certificate": "-----BEGIN CERTIFICATE" + pem.partition("-----BEGIN CERTIFICATE")[2],
    }

    def get(client_id: str | None, credential: object) -> str:
        answer = confidential(cast, session, client_id, credential).acquire_token_for_client([SCOPE])
        return str(answer["access_token"])

    for app, credential in ((cast.app, cast.app.secrets[1]), (cast.certified, certificate)):
        assert said(await asyncio.to_thread(get, app.client_id, credential))["oid"] == app.oid


async def test_msal_keeps_a_persons_account_and_renews_the_token(cast: Cast, session: requests.Session) -> None:
    def get() -> tuple[str, str]:
        client = msal.PublicClientApplication(
            AZURE_CLI, authority=f"{cast.emulator.tls_url}/{TENANT}", instance_discovery=False, http_client=session
        )
        flow = client.initiate_device_flow([f"{AUDIENCE}/access"])
        cast.emulator.cloud.codes.decide(flow["user_code"], cast.person.oid)
        first = client.acquire_token_by_device_flow(flow)
        [account] = client.get_accounts()
        assert account["username"] == cast.person.upn
        again = client.acquire_token_silent([f"{AUDIENCE}/access"], account, force_refresh=True)
        return first["access_token"], again["access_token"]

    first, again = await asyncio.to_thread(get)
    assert first != again
    assert said(first)["oid"] == said(again)["oid"] == cast.person.oid


async def test_msal_takes_an_agent_and_its_user_through_all_steps(cast: Cast, session: requests.Session) -> None:
    def get() -> tuple[str, str]:
        blueprint = confidential(cast, session, cast.blueprint.client_id, cast.blueprint.secrets[0])

        def first() -> str:
            path = cast.agent.client_id
            return str(blueprint.acquire_token_for_client([EXCHANGE], fmi_path=path)["access_token"])

        agent = confidential(cast, session, cast.agent.client_id, {"client_assertion": first})
        own = agent.acquire_token_for_client([SCOPE])["access_token"]
        second = agent.acquire_token_for_client([EXCHANGE])["access_token"]
        users = agent.acquire_token_by_user_federated_identity_credential(
            [f"{AUDIENCE}/access"], second, user_object_id=cast.agents_user.oid
        )
        return own, users["access_token"]

    own, users = await asyncio.to_thread(get)
    assert (said(own)["oid"], said(own)["xms_par_app_azp"]) == (cast.agent.oid, cast.blueprint.client_id)
    assert (said(users)["oid"], said(users)["xms_sub_fct"]) == (cast.agents_user.oid, "13")


async def test_msal_follows_instance_discovery(cast: Cast, session: requests.Session) -> None:
    def get() -> str:
        client = msal.ConfidentialClientApplication(
            cast.app.client_id,
            client_credential=cast.app.secrets[0],
            authority=f"{cast.emulator.tls_url}/{TENANT}",
            instance_discovery=f"{cast.emulator.tls_url}/common/discovery/instance",
            http_client=session,
        )
        return str(client.acquire_token_for_client([SCOPE])["access_token"])

    assert said(await asyncio.to_thread(get))["oid"] == cast.app.oid
    assert cast.emulator.faults.counts["instance"] == 1
