"""Tokens of a managed identity, from an endpoint like that of Azure App Service."""

from __future__ import annotations

import importlib.util
import json
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pgjit.identity import azure_token
from pgjit.server.credential import CredentialUnavailable
from pgjit.server.managed_identity import SCOPE, fetch_token

pytestmark = pytest.mark.skipif(not azure_token.installed(), reason="azure-identity is not installed")


class _Endpoint:
    def __init__(self) -> None:
        self.asked: list[dict[str, list[str]]] = []
        self.headers: list[str | None] = []
        self.status = 200
        self.lives = 3600
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                endpoint.asked.append(parse_qs(urlsplit(self.path).query))
                endpoint.headers.append(self.headers["X-IDENTITY-HEADER"])
                token = f"token-{len(endpoint.asked)}"
                answer: dict[str, Any] = {
                    "access_token": token,
                    "expires_on": str(int(time.time()) + endpoint.lives),
                    "resource": "r",
                    "token_type": "Bearer",
                }
                if endpoint.status != 200:
                    answer = {"statusCode": endpoint.status, "message": "no managed identity is assigned"}
                body = json.dumps(answer).encode()
                self.send_response(endpoint.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Endpoint]:
    served = _Endpoint()
    served.thread.start()
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{served.server.server_port}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "a header of the platform")
    monkeypatch.delenv("IDENTITY_SERVER_THUMBPRINT", raising=False)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    yield served
    served.server.shutdown()
    served.thread.join()
    served.server.server_close()


async def test_a_token_is_fetched_by_scope_and_cached_until_shortly_before_its_expiry(endpoint: _Endpoint) -> None:
    fresh = await fetch_token(SCOPE, None)
    assert fresh.value == "token-1"
    assert 3290 < fresh.seconds <= 3300
    assert endpoint.asked[0]["resource"] == ["https://ossrdbms-aad.database.windows.net"]
    assert endpoint.headers == ["a header of the platform"]


async def test_each_fetch_asks_anew_so_that_a_refused_token_is_replaced(endpoint: _Endpoint) -> None:
    assert [(await fetch_token(SCOPE, None)).value for _ in range(2)] == ["token-1", "token-2"]


async def test_a_user_assigned_identity_is_named(endpoint: _Endpoint) -> None:
    await fetch_token(SCOPE, "3f2504e0-4f89-41d3-9a0c-0305e82c3301")
    assert endpoint.asked[0]["client_id"] == ["3f2504e0-4f89-41d3-9a0c-0305e82c3301"]


async def test_a_token_that_ends_soon_is_not_kept(endpoint: _Endpoint) -> None:
    endpoint.lives = 200
    assert (await fetch_token(SCOPE, None)).seconds == 0


async def test_a_missing_identity_is_reported(endpoint: _Endpoint) -> None:
    endpoint.status = 400
    with pytest.raises(CredentialUnavailable, match=r"managed identity gave no token: .*no managed identity"):
        await fetch_token(SCOPE, None)


async def test_a_missing_library_is_reported_with_its_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    with pytest.raises(CredentialUnavailable, match=r"pip install 'pgjit\[azure\]'"):
        await fetch_token(SCOPE, None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert not azure_token.installed()
