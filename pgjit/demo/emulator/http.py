"""The HTTP endpoints: which function handles a path, and the form of an error response.

Decides how a request is read (a form, a JSON body, a query) and how large it may be. Does not know tokens.
"""

from __future__ import annotations

import base64
import functools
import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Final
from urllib.parse import parse_qsl, unquote_plus

from fastapi import APIRouter, FastAPI, Path, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from pgjit.demo.emulator import graph, managed_identity, metadata, owned
from pgjit.demo.emulator.admin import admin_api
from pgjit.demo.emulator.authorize import people_page, read_request
from pgjit.demo.emulator.cloud import ANY_TENANT, Cloud
from pgjit.demo.emulator.faults import Faults
from pgjit.demo.emulator.oauth_error import NO_STORE, OAuthError
from pgjit.demo.emulator.token_endpoint import begin_device_code, issue_token

__all__ = ["authority_http", "identity_http"]

_MAX_BYTES: Final = 64 * 1024
_PAGE_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
}
_Collection = Annotated[str, Path(pattern="^(servicePrincipals|users|directoryObjects)$")]


def authority_http(
    cloud: Cloud,
    faults: Faults,
    *,
    places: Mapping[str, str],
    admin_key: str | None,
    open_to_all: Callable[[], bool],
    sign_anything: bool,
) -> ASGIApp:
    """All endpoints but those of managed identities. `places` are the addresses by scheme.

    A part is put together when it is first asked: most runs ask only for the keys and for a token.
    """

    def base(request: Request) -> str:
        return places[request.url.scheme] or places["http"]

    def admin() -> APIRouter:
        return admin_api(cloud, faults, key=admin_key, open_to_all=open_to_all, sign_anything=sign_anything)

    graph_part = functools.cache(lambda: _part(_graph(cloud, base)))
    admin_part = functools.cache(lambda: _part(admin()))
    other_part = functools.cache(lambda: _part(_discovery(cloud, base), _tokens(cloud, base)))

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        first = scope["path"].split("/")[1:2]
        part = {"admin": admin_part, "v1.0": graph_part}.get(first[0] if first else "", other_part)
        await part()(scope, receive, send)

    return served


def _part(*routers: APIRouter) -> FastAPI:
    http = FastAPI(title="Entra emulator, for tests", docs_url=None, redoc_url=None, openapi_url=None)
    for router in routers:
        http.include_router(router)

    @http.exception_handler(OAuthError)
    async def refused(request: Request, fault: OAuthError) -> JSONResponse:  # noqa: ARG001 - FastAPI's
        return JSONResponse(fault.content(), fault.status, NO_STORE)

    @http.exception_handler(graph.GraphError)
    async def graph_error(request: Request, fault: graph.GraphError) -> JSONResponse:
        given = request.headers.get("client-request-id", str(uuid.uuid4()))[:64]
        return JSONResponse(fault.content(given), fault.status, {"request-id": str(uuid.uuid4())})

    return http


def identity_http(cloud: Cloud) -> FastAPI:
    """The endpoints of managed identities, which have a port of their own."""
    http = FastAPI(title="Managed identity emulator", docs_url=None, redoc_url=None, openapi_url=None)

    @http.get("/metadata/identity/oauth2/token")
    async def machine(request: Request) -> JSONResponse:
        return JSONResponse(managed_identity.machine_token(cloud, request.query_params, request.headers))

    @http.get("/msi/token")
    async def app_service(request: Request) -> JSONResponse:
        return JSONResponse(managed_identity.app_service_token(cloud, request.query_params, request.headers))

    @http.exception_handler(OAuthError)
    async def refused(request: Request, fault: OAuthError) -> JSONResponse:
        if request.url.path == "/msi/token":
            return JSONResponse({"statusCode": fault.status, "message": fault.description}, fault.status)
        return JSONResponse({"error": fault.error, "error_description": fault.description}, fault.status)

    return http


def _answering(answer: Callable[[Request], Mapping[str, object]]) -> Callable[[Request], Awaitable[JSONResponse]]:
    async def answered(request: Request) -> JSONResponse:
        found = answer(request)
        return JSONResponse(found, 400 if "error" in found else 200)

    return answered


def _discovery(cloud: Cloud, base: Callable[[Request], str]) -> APIRouter:
    """Plain routes: those of FastAPI take a hundred times as long to make, and every emulator makes these."""
    router = APIRouter()

    def tenant(request: Request) -> str:
        return str(request.path_params["tenant"])

    answers: dict[str, Callable[[Request], Mapping[str, object]]] = {
        "/{tenant}/discovery/instance": lambda request: metadata.instance(
            cloud, request.query_params.get("authorization_endpoint", ""), base(request)
        ),
        "/workload/.well-known/openid-configuration": lambda request: metadata.workload_configuration(
            cloud, base(request)
        ),
        "/workload/keys": lambda _: cloud.workload.key_set(cloud.workload_issuer),
        "/{tenant}/v2.0/.well-known/openid-configuration": lambda request: metadata.openid_configuration(
            cloud, tenant(request), base(request), 2
        ),
        "/{tenant}/.well-known/openid-configuration": lambda request: metadata.openid_configuration(
            cloud, tenant(request), base(request), 1
        ),
        "/{tenant}/discovery/v2.0/keys": lambda request: metadata.signing_keys(cloud, tenant(request), 2),
        "/{tenant}/discovery/keys": lambda request: metadata.signing_keys(cloud, tenant(request), 1),
    }
    for path, answer in answers.items():
        router.add_route(path, _answering(answer), methods=["GET"])
    return router


def _tokens(cloud: Cloud, base: Callable[[Request], str]) -> APIRouter:
    router = APIRouter()

    async def token(request: Request) -> JSONResponse:
        tenant = request.path_params["tenant"]
        return JSONResponse(issue_token(cloud, tenant, await _form(request)), headers=NO_STORE)

    async def old_token(request: Request) -> JSONResponse:
        tenant = request.path_params["tenant"]
        return JSONResponse(issue_token(cloud, tenant, await _form(request), version=1), headers=NO_STORE)

    async def device_code(request: Request) -> JSONResponse:
        tenant = request.path_params["tenant"]
        return JSONResponse(begin_device_code(cloud, tenant, await _form(request), base(request)), headers=NO_STORE)

    async def page(_: Request) -> PlainTextResponse:
        return PlainTextResponse(
            "The emulator has no page to log in at. Say yes for a person with\n"
            'POST /admin/device-codes/{code} and the JSON body {"user": "name or object id"}.\n'
        )

    async def authorize(request: Request) -> Response:
        tenant = request.path_params["tenant"]
        directory = cloud.directory(cloud.home if tenant in ANY_TENANT else tenant)
        asked = read_request(directory, request.query_params)
        if request.method == "GET":
            if asked.prompt == "none":
                return RedirectResponse(asked.answer(error="login_required"), 302)
            return HTMLResponse(people_page(directory, asked), headers={**NO_STORE, **_PAGE_HEADERS})
        person = directory.user((await _form(request)).get("user", ""))
        if person is None:
            return RedirectResponse(asked.answer(error="access_denied"), 302)
        code = cloud.authorization_codes.issue(asked, directory.tenant, person.oid, cloud.now())
        return RedirectResponse(asked.answer(code=code), 302)

    router.add_route("/{tenant}/oauth2/v2.0/authorize", authorize, methods=["GET", "POST"])
    router.add_route("/{tenant}/oauth2/v2.0/token", token, methods=["POST"])
    router.add_route("/{tenant}/oauth2/token", old_token, methods=["POST"])
    router.add_route("/{tenant}/oauth2/v2.0/devicecode", device_code, methods=["POST"])
    router.add_route("/common/oauth2/deviceauth", page, methods=["GET"])
    return router


def _graph(cloud: Cloud, base: Callable[[Request], str]) -> APIRouter:
    router = APIRouter(prefix="/v1.0")

    def caller(request: Request) -> graph.GraphCaller:
        return graph.call(cloud, request.headers.get("authorization", ""))

    @router.post("/{collection}/{oid}/checkMemberGroups")
    async def check(collection: _Collection, oid: str, request: Request) -> dict[str, object]:
        return graph.member_groups(caller(request), collection, oid, await _json(request), checked=True)

    @router.post("/{collection}/{oid}/getMemberObjects")
    @router.post("/{collection}/{oid}/getMemberGroups")
    async def every(collection: _Collection, oid: str, request: Request) -> dict[str, object]:
        return graph.member_groups(caller(request), collection, oid, await _json(request), checked=False)

    @router.get("/{collection}/{oid}/transitiveMemberOf")
    async def listed(collection: _Collection, oid: str, request: Request) -> dict[str, object]:
        place = f"{base(request)}{request.url.path}"
        return graph.page_of_groups(caller(request), collection, oid, request.query_params, place)

    @router.get("/servicePrincipals(appId='{client_id}')")
    async def by_client_id(client_id: str, request: Request) -> dict[str, object]:
        select = request.query_params.get("$select")
        return graph.principal_of(caller(request), "servicePrincipals", f"appId='{client_id}'", select)

    @router.get("/servicePrincipals/{oid}/owners")
    async def owners(oid: str, request: Request) -> dict[str, object]:
        return owned.owners_of(caller(request), oid)

    @router.get("/applications(appId='{client_id}')/owners")
    async def owners_of_registration(client_id: str, request: Request) -> dict[str, object]:
        return owned.owners_of(caller(request), f"appId='{client_id}'")

    @router.get("/servicePrincipals/{oid}/{cast}/sponsors")
    async def sponsors(oid: str, cast: str, request: Request) -> dict[str, object]:
        return owned.sponsors_of(caller(request), oid, cast)

    @router.get("/{collection}/{oid}")
    async def principal(collection: _Collection, oid: str, request: Request) -> dict[str, object]:
        return graph.principal_of(caller(request), collection, oid, request.query_params.get("$select"))

    return router


async def _body(request: Request) -> bytes | None:
    """None if it is too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BYTES:
            return None
    return bytes(body)


async def _json(request: Request) -> object:
    body = await _body(request)
    try:
        return json.loads(body or b"")
    except (ValueError, RecursionError):
        raise graph.GraphError(400, "Request_BadRequest", "The body is not JSON.") from None


async def _form(request: Request) -> dict[str, str]:
    """The form in the body. A parameter must not come twice (RFC 6749, section 3.2)."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise OAuthError("invalid_request", 9002313, "The body must be 'application/x-www-form-urlencoded'.")
    body = await _body(request)
    if body is None:
        raise OAuthError("invalid_request", 9002313, "The body is too large.", 413)
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise OAuthError("invalid_request", 9002313, "The body is malformed.") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise OAuthError("invalid_request", 9002313, "A parameter is given twice.")
    return {**form, **_basic(request.headers.get("authorization", ""))}


def _basic(header: str) -> dict[str, str]:
    """Client id and secret from the `Authorization` header, if it has them (RFC 6749, section 2.3.1)."""
    kind, _, encoded = header.partition(" ")
    if kind.lower() != "basic":
        return {}
    try:
        client_id, found, secret = base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")
    except ValueError:
        found = ""
    if not found:
        raise OAuthError("invalid_request", 9002313, "The header Authorization is malformed.")
    return {"client_id": unquote_plus(client_id), "client_secret": unquote_plus(secret)}
