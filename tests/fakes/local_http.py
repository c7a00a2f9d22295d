"""HTTP clients for servers in tests. The system's CA certificates are read once, because that takes 40 ms."""

from __future__ import annotations

import functools
import ssl

import httpx

__all__ = ["local_http"]


@functools.cache
def _trusted() -> ssl.SSLContext:
    return httpx.create_ssl_context()


def local_http(
    *, base_url: str = "", headers: dict[str, str] | None = None, timeout: float = 60.0
) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=base_url, headers=headers, timeout=timeout, verify=_trusted(), trust_env=False)
