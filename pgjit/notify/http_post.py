"""Posts a body to a receiver that is not trusted, and decides what its answer means.

Decides which answers are success, which are tried again and when, and which are final. No redirect is followed. The
body of an answer is not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from pgjit.identity.fetch import web_authorities
from pgjit.identity.url_checks import is_loopback
from pgjit.notify.channel import NeverSent, NotSent

__all__ = ["post", "posting_client"]

_SECONDS = httpx.Timeout(10.0)
_TRIED_AGAIN = frozenset({408, 409, 423, 425, 429})
_FOR_OPERATORS = frozenset({401, 403, 404, 405, 407})
"""The URL or the secret is wrong: it may be corrected, and then the message arrives."""


def posting_client(url: str, transport: httpx.AsyncBaseTransport | None = None) -> httpx.AsyncClient:
    local = is_loopback(httpx.URL(url).host)
    return httpx.AsyncClient(
        transport=transport, verify=web_authorities(), timeout=_SECONDS, trust_env=not local, follow_redirects=False
    )


async def post(client: httpx.AsyncClient, url: str, body: bytes, headers: Mapping[str, str]) -> None:
    """Raises NotSent or NeverSent. Their texts hold no part of the URL: it may be a secret."""
    sent = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "pgjit", **headers}
    try:
        async with client.stream("POST", url, content=body, headers=sent) as response:
            _check(response)
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
        raise NotSent(f"no answer: {type(error).__name__}") from None


def _check(response: httpx.Response) -> None:
    status = response.status_code
    if 200 <= status < 300:
        return
    why = f"answered {status}"
    if status >= 500 or status in _TRIED_AGAIN:
        raise NotSent(why, after=_retry_after(response))
    if 300 <= status < 400 or status in _FOR_OPERATORS:
        raise NotSent(why + (", a redirect, which is not followed" if status < 400 else ""), report=True)
    raise NeverSent(why)


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds, from a number or a date; None for anything else."""
    text = response.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit() and len(text) < 9:
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
