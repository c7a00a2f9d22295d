"""A stand-in for Entra and Graph on a port of this machine, for tests through the whole proxy.

It signs what a test tells it, publishes its keys for its tenants in both versions, and knows of memberships what
`graph` knows.
"""

from __future__ import annotations

import time
import uuid
from functools import cached_property
from pathlib import Path
from typing import Self

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import FastAPI, Request, Response

from pgjit.api.serving import HttpServer
from tests.fakes.graph import CLIENT, SECRET, FakeGraph

__all__ = ["ABSENT", "AUDIENCE", "OTHER_TENANT", "TENANT", "Key", "StandIn", "secret_file"]

TENANT = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
OTHER_TENANT = "8d0f7780-8536-4def-a55c-f18ad2a01bf8"
AUDIENCE = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
ABSENT = object()


class Key:
    def __init__(self) -> None:
        self.kid = uuid.uuid4().hex

    @cached_property
    def private(self) -> rsa.RSAPrivateKey:
        """Made at its first use: a module that has keys of its own is imported by every worker."""
        return rsa.generate_private_key(65537, 2048)

    def published(self, **changes: object) -> dict[str, object]:
        entry: dict[str, object] = jwt.algorithms.RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        return {"kty": "RSA", "use": "sig", "kid": self.kid, "n": entry["n"], "e": entry["e"], **changes}


class StandIn:
    """`async with StandIn() as entra:`"""

    def __init__(self, *tenants: str) -> None:
        self.keys = {tenant: [Key()] for tenant in tenants or (TENANT,)}
        self.graph = FakeGraph()
        self._server = HttpServer(self._http())
        self.url = ""

    async def __aenter__(self) -> Self:
        await self._server.open("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.port}"
        self.graph.url = self.url
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._server.close()

    def issuer(self, tenant: str = TENANT, version: int = 2) -> str:
        return f"{self.url}/{tenant}/v2.0" if version == 2 else f"{self.url}/{tenant}/"

    def claims(self, oid: str, *groups: str, tenant: str = TENANT, **changes: object) -> dict[str, object]:
        now = int(time.time())
        claims: dict[str, object] = {
            "aud": AUDIENCE,
            "iss": self.issuer(tenant),
            "iat": now - 300,
            "nbf": now - 300,
            "exp": now + 4500,
            "azp": "9b2d7c1e-0f4a-4d8e-8b6c-5a3e1f2d4c60",
            "azpacr": "1",
            "idtyp": "app",
            "oid": oid,
            "sub": oid,
            "tid": tenant,
            "uti": uuid.uuid4().hex,
            "ver": "2.0",
            "groups": list(groups),
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not ABSENT}

    def token(self, oid: str, *groups: str, tenant: str = TENANT, key: Key | None = None, **changes: object) -> str:
        return self.sign(self.claims(oid, *groups, tenant=tenant, **changes), key or self.keys[tenant][0])

    def sign(self, claims: dict[str, object], key: Key) -> str:
        return jwt.encode(claims, key.private, algorithm="RS256", headers={"kid": key.kid})

    def section(self, *, graph: dict[str, object] | None = None, **changes: object) -> dict[str, object]:
        """The `identity` section of a proxy that trusts it."""
        section: dict[str, object] = {
            "tenant": list(self.keys),
            "audience": AUDIENCE,
            "authority": self.url,
            "sts": self.url,
            **changes,
        }
        if graph is not None:
            section["graph"] = {"url": self.url, "client_id": CLIENT, **graph}
        return section

    def _http(self) -> FastAPI:
        http = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

        @http.get("/{tenant}/v2.0/.well-known/openid-configuration")
        async def metadata(tenant: str) -> dict[str, object]:
            return {"issuer": self.issuer(tenant), "jwks_uri": f"{self.url}/{tenant}/discovery/v2.0/keys"}

        @http.get("/{tenant}/.well-known/openid-configuration")
        async def metadata_v1(tenant: str) -> dict[str, object]:
            return {"issuer": self.issuer(tenant, 1), "jwks_uri": f"{self.url}/{tenant}/discovery/keys"}

        @http.get("/{tenant}/discovery/v2.0/keys")
        @http.get("/{tenant}/discovery/keys")
        async def keys(tenant: str) -> dict[str, object]:
            issuer = f"{self.url}/{{tenantid}}/v2.0"
            return {"keys": [key.published(issuer=issuer) for key in self.keys[tenant]]}

        @http.api_route("/{path:path}", methods=["GET", "POST"])
        async def others(request: Request) -> Response:
            asked = httpx.Request(
                request.method, str(request.url), headers=dict(request.headers), content=await request.body()
            )
            answer = await self.graph.handle_async_request(asked)
            content = b"".join([chunk async for chunk in answer.stream])  # type: ignore[union-attr]
            return Response(content, answer.status_code, dict(answer.headers))

        return http


def secret_file(folder: Path) -> str:
    path = folder / "graph-secret"
    path.write_text(SECRET)
    return str(path)
