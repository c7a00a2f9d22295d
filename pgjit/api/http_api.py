"""The HTTP API as an ASGI application: its endpoints behind the gate.

Decides the paths' common prefix and which parts of the proxy the endpoints may use.
"""

from __future__ import annotations

from fastapi import FastAPI

from pgjit.api.caller import RoleTable
from pgjit.api.caller_groups import CallerGroups
from pgjit.api.calls import ApiCalls
from pgjit.api.endpoints import (
    about,
    access,
    audit,
    events,
    health,
    locks,
    policy_files,
    proof,
    reload,
    request_context,
    requests,
    searches,
    sessions,
    windows,
)
from pgjit.api.gate import CallerAdmission, Gate, RefusedCalls
from pgjit.api.problems import add_problems, document
from pgjit.api.section import HttpApiSection
from pgjit.api.services import ApiServices

__all__ = ["PREFIX", "http_api", "new_endpoints"]

PREFIX = "/api/v1"


def http_api(section: HttpApiSection, services: ApiServices, refused: RefusedCalls, endpoints: FastAPI) -> Gate:
    """`endpoints`: what `new_endpoints` returns; it belongs to this API from now on."""
    roles = RoleTable(services.roles or (lambda: section.roles), services.policies)
    groups = CallerGroups(services.directory, lambda: roles.groups, services.clock)
    admission = CallerAdmission(
        provider=services.provider,
        groups=groups,
        roles=roles,
        refused=refused,
        clock=services.clock,
        per_minute=section.requests_per_minute,
    )
    state = endpoints.state
    state.calls = ApiCalls(services.journal, services.clock)
    state.services, state.groups, state.admission, state.roles = services, groups, admission, roles
    return Gate(endpoints, admission)


def new_endpoints(version: str) -> FastAPI:
    """The endpoints without the gate; its OpenAPI document is the API's."""
    api = FastAPI(
        title="pgjit",
        version=version,
        description="Requests, reviews, windows, sessions and locks. Every call carries an access token.",
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{PREFIX}/openapi.json",
        redirect_slashes=False,
    )
    add_problems(api)
    parts = (
        about, access, policy_files, requests, request_context, windows, sessions, locks, audit, proof, searches,
        events, reload, health,
    )  # fmt: skip
    for part in parts:
        api.include_router(part.router, prefix=PREFIX)
    document(api)
    return api
