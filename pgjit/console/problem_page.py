"""Every error as a page: what happened, what is known of it, and what to do.

Decides which error is shown how. A sign-in that is over leads to the sign-in page.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import quote, urlencode

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.exceptions import HTTPException

from pgjit.api.gate import internal_error
from pgjit.api.refusals import InvalidCall, TooManyCalls
from pgjit.console.cookies import SIGN_IN, set_cookie
from pgjit.console.own_paths import page_of_form
from pgjit.console.page import ConsolePage, page_of
from pgjit.console.refusals import ConsoleApiProblem, NoSuchPage, NotSignedIn
from pgjit.console.services import services_of
from pgjit.errors import PgjitError

__all__ = ["add_problem_pages", "problem_page"]

_FRESH: Final = "fresh-sign-in-needed"
"""The reference of an approval that needs a sign-in before it."""


def problem_page(request: Request, error: PgjitError | ConsoleApiProblem) -> HTMLResponse:
    """The page of an error, with the navigation if the person is known."""
    if isinstance(error, ConsoleApiProblem):
        status, problem, after = error.status, error.problem, error.retry_after
    else:
        problem = {**error.problem(), "reference": error.reference}
        status, after = int(cast(int, problem["status"])), None
        if isinstance(error, TooManyCalls):
            after = error.seconds
    page = getattr(request.state, "page", None)
    standing: dict[str, Any] = {"now": services_of(request).clock()} if page is None else dict(page.standing_values)
    sign_in = _sign_in(request, status, problem)
    text = services_of(request).templates.render(
        "problem.html",
        **standing,
        status=status,
        title=str(problem.get("title", "call failed")),
        detail=problem.get("detail"),
        hint=problem.get("hint"),
        reference=str(problem.get("reference", "internal-error")),
        retry_after=after,
        sign_in=sign_in,
        back=None if page is None or sign_in is not None else _back(request, page),
        typed=request.method != "GET",
    )
    response = HTMLResponse(text, status)
    if after is not None:
        response.headers["retry-after"] = str(after)
    return response


def add_problem_pages(pages: FastAPI) -> None:
    @pages.exception_handler(PgjitError)
    async def refused(request: Request, error: Exception) -> Response:
        return problem_page(request, cast(PgjitError, error))

    @pages.exception_handler(NotSignedIn)
    async def not_signed_in(request: Request, error: Exception) -> Response:
        response: Response = problem_page(request, cast(NotSignedIn, error))
        if request.method == "GET" and request.headers.get("sec-fetch-dest", "document") == "document":
            response = RedirectResponse(f"/sign-in?{urlencode({'to': _address(request)})}", 303)
        if cast(NotSignedIn, error).was:
            set_cookie(response, SIGN_IN, "", seconds=0)
        return response

    @pages.exception_handler(ConsoleApiProblem)
    async def of_api(request: Request, error: Exception) -> Response:
        return problem_page(request, cast(ConsoleApiProblem, error))

    @pages.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: Exception) -> Response:
        named = sorted({str(fault["loc"][-1]) for fault in cast(RequestValidationError, error).errors()})
        return problem_page(request, InvalidCall(f"Not accepted as it is: {', '.join(named)[:200]}."))

    @pages.exception_handler(HTTPException)
    async def http(request: Request, error: Exception) -> Response:
        fault = cast(HTTPException, error)
        if fault.status_code == 404:
            with contextlib.suppress(PgjitError):  # who is not signed in sees it without a navigation
                await page_of(request)
            return problem_page(request, NoSuchPage())
        detail = "The page has no such method." if fault.status_code == 405 else "The call cannot be read."
        response = problem_page(request, InvalidCall(detail, status=fault.status_code))
        for name, value in (fault.headers or {}).items():
            response.headers[name] = value
        return response

    @pages.exception_handler(Exception)
    async def failed(request: Request, _error: Exception) -> Response:
        return problem_page(request, internal_error())  # what calls the pages writes the error to the log


def _back(request: Request, page: ConsolePage) -> tuple[str, str] | None:
    """The address and the name of the page that a person goes on with: that of the form, or that of the section."""
    if request.method != "GET" and (form := page_of_form(request)):
        return form, "the page"
    path = request.url.path
    for entry in page.open_pages:
        inside = path == entry.path or path.startswith(f"{entry.path}/")
        if inside and (path != entry.path or request.url.query or request.method != "GET"):
            return entry.path, str(entry.title)
    return None


def _sign_in(request: Request, status: int, problem: Mapping[str, object]) -> str | None:
    """The address at which the person signs in so that the same thing succeeds; None where that would not help."""
    fresh = problem.get("reference") == _FRESH
    if status != 401 and not fresh:
        return None
    wanted = _address(request) if request.method == "GET" else page_of_form(request)
    query = [("to", wanted)] if wanted else []
    if not fresh:
        return f"/sign-in?{urlencode(query)}"
    acrs = problem.get("acrs")
    contexts = [("context", str(each)) for each in acrs] if isinstance(acrs, list) else []
    return f"/sign-in/start?{urlencode([*query, ('again', 'true'), *contexts])}"


def _address(request: Request) -> str:
    """The path and query of the request."""
    query = request.url.query
    return quote(request.url.path) + (f"?{query}" if query else "")
