"""Our own tokens from the token endpoint: one request for all who wait."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pgjit.identity.client_credentials import ClientCertificate, ClientCredentialsTokens, ClientSecret
from pgjit.identity.directory import DirectoryUnavailable
from tests.fakes.certificate import certificate

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


class Endpoint(httpx.AsyncBaseTransport):
    """Answers every request with `status` and `body`, when `go` is set."""

    def __init__(self, status: int, body: object) -> None:
        self.requests = 0
        self.go = asyncio.Event()
        self._status = status
        self._body = json.dumps(body).encode()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        await self.go.wait()
        headers = {"content-type": "application/json"}
        return httpx.Response(self._status, headers=headers, stream=httpx.ByteStream(self._body))


def tokens_from(endpoint: Endpoint) -> ClientCredentialsTokens:
    return ClientCredentialsTokens(
        client=httpx.AsyncClient(transport=endpoint),
        authority="https://login.example",
        client_id="client",
        scope="https://graph.example/.default",
        proof=ClientSecret(lambda: "secret"),
    )


async def _requested(endpoint: Endpoint) -> None:
    while not endpoint.requests:
        await asyncio.sleep(0)


async def test_those_who_wait_for_one_request_share_its_failure() -> None:
    endpoint = Endpoint(503, {})
    tokens = tokens_from(endpoint)
    waiting = [asyncio.create_task(tokens.get("tenant", NOW)) for _ in range(3)]
    await _requested(endpoint)
    endpoint.go.set()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["no token for us: 503"] * 3
    assert endpoint.requests == 1


async def test_one_who_gives_up_does_not_take_the_token_from_the_others() -> None:
    endpoint = Endpoint(200, {"access_token": "good", "expires_in": 3599})
    tokens = tokens_from(endpoint)
    first, second = (asyncio.create_task(tokens.get("tenant", NOW)) for _ in range(2))
    await _requested(endpoint)
    first.cancel()
    endpoint.go.set()
    assert await second == "good"
    assert endpoint.requests == 1


async def test_closing_ends_a_request_that_is_under_way() -> None:
    endpoint = Endpoint(200, {})
    tokens = tokens_from(endpoint)
    waiting = asyncio.create_task(tokens.get("tenant", NOW))
    await _requested(endpoint)
    await tokens.close()
    with pytest.raises(DirectoryUnavailable, match="stopping"):
        await waiting


def test_a_certificate_that_is_not_its_keys_proves_nothing(tmp_path: Path) -> None:
    crt, key = certificate(tmp_path, rsa.generate_private_key(65537, 2048), NOW)
    (tmp_path / "elsewhere").mkdir()
    _, other = certificate(tmp_path / "elsewhere", rsa.generate_private_key(65537, 2048), NOW)
    with pytest.raises(ValueError, match="not the certificate's"):
        ClientCertificate(crt, other).parameters("client", "x", NOW)
    assert key.exists()
    elliptic = certificate(tmp_path, ec.generate_private_key(ec.SECP256R1()), NOW)
    with pytest.raises(ValueError, match="not an RSA key"):
        ClientCertificate(*elliptic).parameters("client", "x", NOW)
