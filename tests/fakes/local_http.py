"""HTTP clients for servers of the test's own."""

from __future__ import annotations

import httpx

from pgjit.identity.fetch import web_authorities

__all__ = ["local_http"]


def local_http(
    *, base_url: str = "", headers: dict[str, str] | None = None, timeout: float = 60.0
) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=base_url, headers=headers, timeout=timeout, verify=web_authorities(), trust_env=False
    )
