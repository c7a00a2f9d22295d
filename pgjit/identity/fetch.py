"""Fetches a JSON object from a server that is not trusted: bounded in size, not compressed, without redirects.

Decides which responses are read at all, and whether an HTTP proxy is used. The caller sets a time limit, and reads
the contents.
"""

from __future__ import annotations

import contextlib
import functools
import ssl
from collections.abc import AsyncGenerator
from typing import Final, cast

import httpx

from pgjit.identity.jws import StrictJsonError, read_object
from pgjit.identity.url_checks import is_loopback

__all__ = ["PLAIN", "AnswerRefused", "client_for", "fetch_object", "read_answer", "web_authorities"]

MAX_BODY_BYTES: Final = 512 * 1024
PLAIN: Final = {"Accept": "application/json", "Accept-Encoding": "identity"}
"""Not compressed: a small response could decompress to a very large one."""

_JSON: Final = frozenset({"application/json", "application/jwk-set+json"})


class AnswerRefused(Exception):
    """The response cannot be used. The text quotes nothing of it."""


def client_for(url: str, transport: httpx.AsyncBaseTransport | None = None) -> httpx.AsyncClient:
    """A client for the server at `url`. An HTTP proxy in the environment is not used for this machine itself."""
    local = is_loopback(httpx.URL(url).host)
    return httpx.AsyncClient(transport=transport, verify=web_authorities(), timeout=5.0, trust_env=not local)


@functools.cache
def web_authorities() -> ssl.SSLContext:
    """The public certificate authorities, or those that the environment names. They are read once."""
    return httpx.create_ssl_context()


async def fetch_object(client: httpx.AsyncClient, url: httpx.URL) -> dict[str, object]:
    """The JSON object at `url`. Raises AnswerRefused and httpx's own errors."""
    async with client.stream("GET", url, headers=PLAIN, follow_redirects=False) as response:
        if response.status_code != httpx.codes.OK:
            raise AnswerRefused(f"{url.path} answered {response.status_code}")
        return await read_answer(response)


async def read_answer(response: httpx.Response) -> dict[str, object]:
    """The JSON object in the body of a streamed response, whatever its status."""
    path = response.request.url.path
    kind = response.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind not in _JSON:
        raise AnswerRefused(f"{path} is not JSON")
    if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise AnswerRefused(f"{path} is compressed")
    body = bytearray()
    raw = cast("AsyncGenerator[bytes]", response.aiter_raw())
    async with contextlib.aclosing(raw) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise AnswerRefused(f"{path} is larger than {MAX_BODY_BYTES} bytes")
    try:
        return read_object(bytes(body))
    except StrictJsonError as fault:
        raise AnswerRefused(f"{path} {fault}") from None
