"""Signing in and out, and the first page. These are the only pages that are served without a sign-in.

Decides where a browser goes after a sign-in: to a page of this console, whatever the address asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import StringConstraints

from pgjit.api.caller import Caller, CallerRole, is_person
from pgjit.api.refusals import BearerRefused
from pgjit.audit.event import ApiCalled
from pgjit.console.cookie_secret import CookieSecret, base64url, unbase64url
from pgjit.console.cookies import FLOW, SIGN_IN, cookie, set_cookie
from pgjit.console.own_paths import wanted_path
from pgjit.console.page import TheForm, ThePage
from pgjit.console.provider_login import ProviderTokens
from pgjit.console.refusals import SignInRefused
from pgjit.console.services import ConsoleServices, address_of, services_of
from pgjit.errors import JournalUnavailable, ServerUnavailable
from pgjit.identity.identity import IdentityKey

__all__ = ["router"]

router = APIRouter()
_log = logging.getLogger("pgjit.console")
_FLOW_SECONDS: Final = 600
_Wanted = Annotated[str, Query(max_length=2000)]
_Context = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]
_Contexts = Annotated[tuple[_Context, ...], Query(max_length=8)]


@router.get("/")
async def first(page: ThePage) -> Response:
    """The first page of the navigation that is open to the person."""
    if pages := page.open_pages:
        return RedirectResponse(pages[0].path, 303)
    return page.show("no-pages.html", status=403, givers=page.givers)


@router.get("/sign-in")
async def sign_in(request: Request, to: _Wanted = "", out: bool = False) -> HTMLResponse:
    services = services_of(request)
    text = services.templates.render(
        "sign-in.html",
        now=services.clock(),
        wanted=wanted_path(request, to),
        signed_out=out,
        provider=services.provider_name,
        idle=services.section.idle.total_seconds(),
        absolute=services.section.absolute.total_seconds(),
    )
    return HTMLResponse(text)


@router.get("/sign-in/start")
async def start(request: Request, to: _Wanted = "", again: bool = False, context: _Contexts = ()) -> Response:
    """Send the browser to the identity provider. Nothing is kept but the cookie that the browser gets.

    `again`: the person has to sign in there anew. `context`: authentication contexts that the person has to satisfy.
    """
    services = services_of(request)
    secret = CookieSecret.new()
    address = await services.login.address(secret, again=again, contexts=context)
    response = RedirectResponse(address, 303)
    target = base64url(wanted_path(request, to).encode())
    set_cookie(response, FLOW, f"{secret.text}.{target}", seconds=_FLOW_SECONDS)
    return response


@router.get("/signed-in")
async def signed_in(request: Request) -> Response:
    """The provider's answer. The browser gets a cookie with a new secret, and goes to the page that it wanted."""
    services = services_of(request)
    text, _, target = (cookie(request, FLOW) or "").partition(".")
    flow = CookieSecret.read(text)
    if flow is None:
        raise SignInRefused(
            "This browser began no sign-in, or began it more than ten minutes ago.",
            hint="Start again from the sign-in page.",
            status=400,
        )
    tokens = await services.login.redeem(flow, dict(request.query_params))
    caller = await _accepted(services, tokens, request)
    try:
        _record(services, caller, request)
    except JournalUnavailable:
        raise _not_recorded() from None
    if (earlier := CookieSecret.read(cookie(request, SIGN_IN))) is not None:
        await services.sign_ins.end(earlier)
    secret = await services.sign_ins.begin(tokens, caller.identity)
    response = RedirectResponse(wanted_path(request, _decoded(target)) or "/", 303)
    set_cookie(response, SIGN_IN, secret.text, seconds=None)
    set_cookie(response, FLOW, "", seconds=0)
    return response


@router.post("/sign-out")
async def sign_out(request: Request, page: ThePage, form: TheForm) -> Response:  # noqa: ARG001 - checks the token
    """End the sign-in here, on every node. That at the identity provider stays."""
    services = services_of(request)
    await services.sign_ins.end(page.signed_in.secret)
    try:
        _record(services, page.caller, request)
    except JournalUnavailable as fault:
        _log.error("a sign-out could not be recorded: %s", fault.message)
    response = RedirectResponse("/sign-in?out=true", 303)
    set_cookie(response, SIGN_IN, "", seconds=0)
    response.headers["clear-site-data"] = '"cache", "storage"'
    return response


async def _accepted(services: ConsoleServices, tokens: ProviderTokens, request: Request) -> Caller:
    """INVARIANT: only a person signs in, by a token that the HTTP API accepts."""
    try:
        caller = await services.admission.of_token(tokens.access, address_of(request), fresh=True, counted=False)
    except BearerRefused:
        raise SignInRefused(
            "The access token is not accepted by the HTTP API of this proxy.",
            hint="The journal has the reason; see docs/console.md on the registration.",
        ) from None
    identity = caller.identity
    if not is_person(identity):
        try:
            _record(services, caller, request, status=403)
        except JournalUnavailable as fault:
            _log.error("a refused sign-in could not be recorded: %s", fault.message)
        raise SignInRefused("Apps, agents and those for whom an agent acts cannot sign in.", hint="Use the HTTP API.")
    if not _of_one_person(tokens.id_claims, identity.key):
        raise SignInRefused("The ID token and the access token are not of one person.", hint="Start again.")
    return caller


def _of_one_person(id_claims: Mapping[str, object], key: IdentityKey) -> bool:
    """Entra's tokens name the person by `oid`: their `sub` differs from app to app. Others by `sub`."""
    subject = id_claims.get("oid" if "tid" in id_claims else "sub")
    return isinstance(subject, str) and subject.lower() == key.oid.lower()


def _record(services: ConsoleServices, caller: Caller, request: Request, *, status: int | None = None) -> None:
    """Raises JournalUnavailable."""
    role = caller.strongest(reversed(CallerRole))
    event = ApiCalled(
        at=services.clock(),
        identity=caller.identity,
        role="none" if role is None else role.value,
        method=request.method,
        path=request.url.path,
        target=None,
        source=caller.source,
        status=status,
    )
    services.api_services.journal.append([event])


def _not_recorded() -> ServerUnavailable:
    return ServerUnavailable(
        "sign-in was not carried out because it could not be recorded",
        reference="journal-unavailable",
        hint="Try again later; the operators of this proxy have to look at its journal.",
    )


def _decoded(target: str) -> str:
    try:
        return unbase64url(target).decode()
    except ValueError:
        return ""
