"""What holds for every response to a browser, and for every call that would change something.

Decides the security headers, and refuses what another site made a browser send: before a cookie is looked at. Knows
no page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pgjit.api.strict_transport import STRICT_TRANSPORT, is_kept_for
from pgjit.console.refusals import CrossSiteCall

__all__ = ["BrowserRules", "check_same_origin", "headers_of"]

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final[dict[str, str]] = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # With `no-referrer` browsers send `Origin: null` with forms: no other site learns an address by this either.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_UNKEPT: Final = (b"cache-control", b"no-store")
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})

Refusal = Callable[[Scope, CrossSiteCall], ASGIApp]


def headers_of(origin: str) -> dict[str, str]:
    """The headers of every response of the console at `origin`, as the configuration has it."""
    strict = [STRICT_TRANSPORT] if is_kept_for(origin.partition("//")[2]) else []
    return {**_HEADERS, **dict(strict)}


def check_same_origin(method: str, headers: Headers, origin: str) -> None:
    """Raises CrossSiteCall for a call that would change something and is not of a page at `origin`.

    Browsers send `Sec-Fetch-Site`, which no page can set; older ones send `Origin` with every form.
    """
    if method in _SAFE:
        return
    site, given = headers.getlist("sec-fetch-site"), headers.getlist("origin")
    if site and site != ["same-origin"]:
        raise CrossSiteCall("The browser reports that another site made this call.")
    if given and given != [origin]:
        raise CrossSiteCall(f"The header `Origin` is not {origin}.")
    if not site and not given:
        raise CrossSiteCall("The call has neither the header `Sec-Fetch-Site` nor `Origin`, which browsers send.")


class BrowserRules:
    """An ASGI application around the pages. `origin`: of the console, as the configuration has it.

    INVARIANT: the header `Host` of a request decides nothing.
    """

    def __init__(self, pages: ASGIApp, origin: str, refusal: Refusal) -> None:
        self._pages = pages
        self._origin = origin
        self._headers = headers_of(origin)
        self._refusal = refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = [(name, value) for name, value in message["headers"] if name.decode() not in self._headers]
                kept = any(name == b"cache-control" for name, _ in given)
                added = [(name.encode(), value.encode()) for name, value in self._headers.items()]
                message = {**message, "headers": [*given, *added, *([] if kept else [_UNKEPT])]}
            await send(message)

        pages = self._pages
        try:
            check_same_origin(scope["method"], Headers(scope=scope), self._origin)
        except CrossSiteCall as refused:
            pages = self._refusal(scope, refused)
        await pages(scope, receive, with_headers)
