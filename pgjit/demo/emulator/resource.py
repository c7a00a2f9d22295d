"""Reads the scope of a token request: which resource the token is for.

Decides how Entra reads the parameter `scope`. Does not know principals.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pgjit.demo.emulator.directory import Api, PrincipalKind, TenantDirectory
from pgjit.demo.emulator.oauth_error import OAuthError

__all__ = ["EXCHANGE", "GRAPH_AUDIENCES", "AskedResource", "Resource", "read_scope"]

GRAPH_AUDIENCES: Final = frozenset({
    "00000003-0000-0000-c000-000000000000", "https://graph.microsoft.com", "https://graph.microsoft.us",
    "https://dod-graph.microsoft.us", "https://microsoftgraph.chinacloudapi.cn",
})  # fmt: skip
EXCHANGE: Final = "api://AzureADTokenExchange"
_EXCHANGES: Final = frozenset({EXCHANGE.lower(), "fb60f99c-7a34-4190-8149-302f77469936"})
_OIDC: Final = frozenset({"openid", "profile", "email", "offline_access"})


class Resource(StrEnum):
    API = "api"
    GRAPH = "graph"
    EXCHANGE = "exchange"  # the token will be exchanged for another one
    BLUEPRINT = "blueprint"  # an agent blueprint, for which a person's token can be issued


@dataclass(frozen=True, slots=True)
class AskedResource:
    resource: Resource
    audience: str  # the resource as the request spells it
    scopes: tuple[str, ...] = ()  # of the resource; none of them is `.default`
    oidc: frozenset[str] = frozenset()


def read_scope(
    scope: str, api: Api, directory: TenantDirectory, *, graph: Set[str] = frozenset(), app_only: bool = False
) -> AskedResource:
    """Raises OAuthError. `graph` are further names of Graph: the addresses of the emulator."""
    parts = scope.split()
    oidc = frozenset(parts) & _OIDC
    wanted = [part for part in parts if part not in _OIDC]
    if app_only and (len(parts) != 1 or not parts[0].endswith("/.default")):
        raise OAuthError("invalid_scope", 1002012, "The scope is not valid: it must end in '/.default'.")
    if not wanted:
        return AskedResource(Resource.GRAPH, "https://graph.microsoft.com", (), oidc)
    names = {part.rpartition("/")[0] for part in wanted}
    if len(names) > 1:
        raise OAuthError("invalid_request", 28000, "The scope holds scopes of more than one resource.")
    [name] = names
    scopes = tuple(part.rpartition("/")[2] for part in wanted)
    resource = _resource(name, api, directory, graph)
    if resource is Resource.API:
        unknown = [each for each in scopes if each not in (".default", *api.scopes)]
        if unknown:
            raise OAuthError("invalid_client", 650053, "The resource has no such scope.")
        scopes = api.scopes if ".default" in scopes else scopes
    return AskedResource(resource, name, tuple(each for each in scopes if each != ".default"), oidc)


def _resource(name: str, api: Api, directory: TenantDirectory, graph: Set[str]) -> Resource:
    if name == api.client_id or name in api.uris or name in api.others:
        return Resource.API
    if name.rstrip("/") in GRAPH_AUDIENCES or name in graph:
        return Resource.GRAPH
    if name.lower() in _EXCHANGES:
        return Resource.EXCHANGE
    app = directory.client(name.removeprefix("api://"))
    if app is not None and app.kind is PrincipalKind.BLUEPRINT:
        return Resource.BLUEPRINT
    raise OAuthError("invalid_resource", 500011, "The resource was not found in the tenant.")
