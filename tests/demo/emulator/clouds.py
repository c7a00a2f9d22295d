"""An emulator with somebody of every kind in it, for the tests of its endpoints."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import httpx
import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from pgjit.demo.certificates import Certificates, make_certificates
from pgjit.demo.emulator import (
    AZURE_CLI,
    Emulator,
    EmulatorSettings,
    FederatedCredential,
    PrincipalKind,
    RegisteredPrincipal,
    TlsFiles,
)
from pgjit.demo.emulator.issuer import base64url
from pgjit.demo.emulator.token_endpoint import DEVICE_CODE
from tests.fakes.local_http import local_http

__all__ = [
    "AUDIENCE",
    "EXCHANGE",
    "GROUP",
    "ON_BEHALF_OF",
    "OTHER",
    "SCOPE",
    "SUBJECT",
    "TENANT",
    "Cast",
    "Certified",
    "begin",
    "cast",
    "redeem",
    "said",
]

TENANT = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
AUDIENCE = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
GROUP = "5f0c8a3e-7d52-4c1b-9a64-1f6f2b0d9c11"
OTHER = "11111111-1111-4111-8111-111111111111"
SCOPE = f"{AUDIENCE}/.default"
EXCHANGE = "api://AzureADTokenExchange/.default"
ON_BEHALF_OF = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SUBJECT = "system:serviceaccount:agents:schema-check"
SECRET = "only-for-tests"


class Certified:
    """A key with a self-signed certificate, as an app registers one."""

    def __init__(self, days: int = 1) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an app")])
        now = datetime.now(UTC)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=30))
            .not_valid_after(now + timedelta(days=days))
            .sign(self.key, SHA256())
        )

    @property
    def pem(self) -> bytes:
        """Key and certificate, as client libraries take them."""
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return key + self.certificate.public_bytes(Encoding.PEM)

    @property
    def sha1(self) -> str:
        return base64url(self.certificate.fingerprint(SHA1()))

    @property
    def sha256(self) -> str:
        return base64url(self.certificate.fingerprint(SHA256()))

    def assertion(
        self, client_id: str, audience: str, header: dict[str, object] | None = None, **changes: object
    ) -> str:
        """A client assertion (RFC 7523); a claim that is None is left out."""
        at = int(datetime.now(UTC).timestamp())
        usual: dict[str, object] = {"aud": audience, "iss": client_id, "sub": client_id, "nbf": at, "exp": at + 600}
        claims = {**usual, "jti": str(uuid.uuid4()), **changes}
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, self.key, algorithm="RS256", headers=header or {"x5t": self.sha1})


@dataclass(slots=True)
class Cast:
    emulator: Emulator
    certificates: Certificates
    app: RegisteredPrincipal
    certified: RegisteredPrincipal
    certificate: Certified
    federated: RegisteredPrincipal
    machine: RegisteredPrincipal
    person: RegisteredPrincipal
    blueprint: RegisteredPrincipal
    agent: RegisteredPrincipal
    agents_user: RegisteredPrincipal
    reader: RegisteredPrincipal  # may ask Graph

    @property
    def graph(self) -> str:
        return f"{self.emulator.url}/v1.0"

    def place(self, path: str = "oauth2/v2.0/token", tenant: str = TENANT) -> str:
        return f"{self.emulator.url}/{tenant}/{path}"

    async def post(
        self, form: dict[str, str], path: str = "oauth2/v2.0/token", tenant: str = TENANT
    ) -> httpx.Response:
        async with local_http() as client:
            return await client.post(self.place(path, tenant), data=form)

    def form(self, client: RegisteredPrincipal, scope: str = SCOPE, **more: str) -> dict[str, str]:
        """Client credentials with the secret that every app here has."""
        usual = {"grant_type": "client_credentials", "client_id": str(client.client_id), "scope": scope}
        if "client_assertion" in more:
            more = {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", **more}
        elif client.secrets:
            usual["client_secret"] = client.secrets[0]
        return usual | more

    async def token(self, form: dict[str, str]) -> str:
        response = await self.post(form)
        assert response.status_code == 200, response.text
        return str(response.json()["access_token"])

    async def admin(self, method: str, path: str, body: object = None, status: int = 200) -> httpx.Response:
        async with local_http() as client:
            response = await client.request(
                method, f"{self.emulator.url}/admin/{path}", json={} if body is None else body
            )
        assert response.status_code == status, response.text
        return response


async def begin(
    cast: Cast, scope: str = f"{AUDIENCE}/access openid offline_access", tenant: str = TENANT
) -> dict[str, str]:
    response = await cast.post({"client_id": AZURE_CLI, "scope": scope}, "oauth2/v2.0/devicecode", tenant)
    answer: dict[str, str] = response.json()
    return answer


async def redeem(cast: Cast, code: dict[str, str], tenant: str = TENANT) -> httpx.Response:
    form = {"grant_type": DEVICE_CODE, "client_id": AZURE_CLI, "device_code": code["device_code"]}
    return await cast.post(form, tenant=tenant)


def said(token: str) -> dict[str, object]:
    """The claims, whoever signed them."""
    claims: dict[str, object] = jwt.decode(token, options={"verify_signature": False})
    return claims


@cache
def _certified() -> Certified:
    """The same one for all tests: keys take time."""
    return Certified()


@pytest.fixture
async def cast(tmp_path: Path) -> AsyncIterator[Cast]:
    certificates = make_certificates(tmp_path)
    running = Emulator(EmulatorSettings(tenant=TENANT, tenants=(OTHER,), audience=AUDIENCE, sign_anything=True))
    await running.start(tls=TlsFiles(certificates.certificate, certificates.key))
    add = running.directory.add
    certificate = _certified()
    blueprint = RegisteredPrincipal(kind=PrincipalKind.BLUEPRINT, display="agent blueprint", secrets=(SECRET,))
    agent = RegisteredPrincipal(kind=PrincipalKind.AGENT, display="agent", parent=blueprint.client_id)
    federated = FederatedCredential(running.cloud.workload_issuer, SUBJECT)
    permissions = ("Application.Read.All", "User.Read.All", "GroupMember.Read.All")
    yield Cast(
        emulator=running,
        certificates=certificates,
        app=add(RegisteredPrincipal(kind=PrincipalKind.APP, display="app", secrets=("another", SECRET)), [GROUP]),
        certified=add(
            RegisteredPrincipal(kind=PrincipalKind.APP, display="certified", certificates=(certificate.certificate,)),
            [GROUP],
        ),
        certificate=certificate,
        federated=add(
            RegisteredPrincipal(kind=PrincipalKind.APP, display="federated", federated=(federated,)), [GROUP]
        ),
        machine=add(
            RegisteredPrincipal(kind=PrincipalKind.MANAGED_IDENTITY, display="machine", system_assigned=True), [GROUP]
        ),
        person=add(RegisteredPrincipal(kind=PrincipalKind.USER, display="Ana Visser"), [GROUP]),
        blueprint=add(blueprint),
        agent=add(agent, [GROUP]),
        agents_user=add(
            RegisteredPrincipal(kind=PrincipalKind.AGENT_USER, display="agent user", parent=agent.client_id), [GROUP]
        ),
        reader=add(
            RegisteredPrincipal(
                kind=PrincipalKind.APP, display="pgjit itself", secrets=(SECRET,), graph_roles=permissions
            )
        ),
    )
    await running.close()
