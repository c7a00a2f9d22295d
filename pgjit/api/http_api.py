"""The HTTP API as an ASGI application: its endpoints behind the gate.

Decides the paths' common prefix and which parts of the proxy the endpoints may use.
"""

from __future__ import annotations

from fastapi import FastAPI

from pgjit.api.caller import RoleTable
from pgjit.api.caller_groups import CallerGroups
from pgjit.api.calls import ApiCalls
from pgjit.api.endpoints import about, sessions
from pgjit.api.gate import CallerAdmission, Gate, RefusedCalls
from pgjit.api.problems import add_problems, document
from pgjit.api.section import HttpApiSection
from pgjit.api.services import ApiServices

__all__ = ["PREFIX", "endpoints_of", "http_api"]

PREFIX = "/api/v1"


def http_api(section: HttpApiSection, services: ApiServices, refused: RefusedCalls) -> Gate:
    roles = RoleTable(section.roles, services.policies)
    groups = CallerGroups(services.directory, roles.groups, services.clock)
    admission = CallerAdmission(
        provider=services.provider,
        groups=groups,
        roles=roles,
        refused=refused,
        clock=services.clock,
        per_minute=section.requests_per_minute,
    )
    return Gate(endpoints_of(services, groups), admission)


def endpoints_of(services: ApiServices, groups: CallerGroups) -> FastAPI:
    """The endpoints without the gate; its OpenAPI document is the API's."""
    api = FastAPI(
        title="pgjit",
        version=services.version,
        description="Requests, reviews, windows, sessions and locks. Every call carries an access token.",
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{PREFIX}/openapi.json",
        redirect_slashes=False,
    )
    api.state.calls = ApiCalls(services.journal, services.clock)
    api.state.services = services
    api.state.groups = groups
    add_problems(api)
    for part in (about, sessions):
        api.include_router(part.router, prefix=PREFIX)
    document(api)
    return api
