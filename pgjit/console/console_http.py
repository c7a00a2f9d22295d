"""The console as an ASGI application: its pages beside the HTTP API, on one port.

Decides which paths are the API's, and what stands around the pages: the rules for browsers, the guard of each entry
of the table, the pages of errors.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from fastapi import Depends, FastAPI, Request, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from pgjit.api.console_section import ConsoleSection
from pgjit.api.gate import Gate
from pgjit.api.services import ApiServices
from pgjit.console.browser_rules import BrowserRules
from pgjit.console.page import guard
from pgjit.console.page_entry import PageEntry
from pgjit.console.pages import PAGES
from pgjit.console.pages.sign_in import router as sign_in
from pgjit.console.problem_page import add_problem_pages, problem_page
from pgjit.console.provider_login import LoginFlow
from pgjit.console.refusals import CrossSiteCall, NoSuchPage
from pgjit.console.services import ConsoleServices
from pgjit.console.sign_ins import SignIns
from pgjit.console.templates import StaticFile, Templates, static_files

__all__ = ["Console", "console_http"]

_log = logging.getLogger("pgjit.console")
_API = "/api"
_FOREVER = "public, max-age=31536000, immutable"
_CHECKED = "no-cache"


class Console:
    """Serves `/api/...` by the HTTP API, and every other path by a page."""

    def __init__(self, api: ASGIApp, pages: ASGIApp, sign_ins: SignIns) -> None:
        self._api = api
        self._pages = pages
        self._sign_ins = sign_ins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path == _API or path.startswith(f"{_API}/"):
            await self._api(scope, receive, send)
        else:
            await self._pages(scope, receive, send)

    async def aclose(self) -> None:
        await self._sign_ins.close()


def console_http(
    section: ConsoleSection,
    api: Gate,
    endpoints: FastAPI,
    login: LoginFlow,
    *,
    provider_name: str,
    entries: Sequence[PageEntry] = PAGES,
) -> Console:
    """`api` and its `endpoints`: of `http_api`. `provider_name`: the identity provider's, for people."""
    services: ApiServices = endpoints.state.services
    clock = services.clock
    sign_ins = SignIns(
        services.store,
        login,
        lambda token: services.provider.verify(token, clock()),
        clock,
        idle=section.idle,
        absolute=section.absolute,
    )
    static = static_files()
    pages = new_pages(entries, static)
    pages.state.console = ConsoleServices(
        section=section,
        api=api,
        api_services=services,
        admission=endpoints.state.admission,
        roles=endpoints.state.roles,
        login=login,
        sign_ins=sign_ins,
        templates=Templates(static, version=services.version, node=services.node),
        entries=tuple(entries),
        clock=clock,
        provider_name=provider_name,
    )

    def refusal(scope: Scope, error: CrossSiteCall) -> ASGIApp:
        # The pages' own application is not called: its state is lent for the text alone.
        return problem_page(Request({**scope, "app": pages}), error)

    return Console(api, BrowserRules(_Logged(pages), section.url, refusal), sign_ins)


def new_pages(entries: Sequence[PageEntry], static: dict[str, StaticFile]) -> FastAPI:
    """The pages without what is around them. Nothing but these paths is served."""
    pages = FastAPI(title="pgjit", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    add_problem_pages(pages)
    pages.include_router(sign_in)

    @pages.get("/static/{name}")
    async def static_file(name: str, request: Request, v: str = "") -> Response:
        """Served to everybody: they are the same for all, and the sign-in page needs them."""
        file = static.get(name)
        if file is None:
            raise NoSuchPage
        headers = {"etag": file.etag, "cache-control": _FOREVER if v == file.tag else _CHECKED}
        if request.headers.get("if-none-match") == file.etag:
            return Response(status_code=304, headers=headers)
        return Response(file.content, media_type=file.media_type, headers=headers)

    for entry in entries:
        pages.include_router(entry.router, dependencies=[Depends(guard(entry))])
    return pages


class _Logged:
    """Writes errors that no page expected to the log. Their page has been sent by then; the browser sees no trace."""

    def __init__(self, pages: ASGIApp) -> None:
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._pages(scope, receive, send)
        except Exception:  # noqa: BLE001 - whatever fails, the browser gets no trace of it
            _log.exception("a page failed: %s", scope["method"])
