"""The part of Microsoft Graph that reports to whom an app or agent belongs: its owners and its sponsors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pgjit.demo.emulator.directory import PrincipalKind, TenantDirectory
from pgjit.demo.emulator.graph import GraphCaller, GraphError

__all__ = ["owners_of", "sponsors_of"]

_CASTS: Final = {
    PrincipalKind.AGENT: "microsoft.graph.agentIdentity",
    PrincipalKind.BLUEPRINT: "microsoft.graph.agentIdentityBlueprintPrincipal",
}


def owners_of(caller: GraphCaller, oid: str) -> dict[str, object]:
    """`appId='...'` names an app by its client id. Its registration has the same owners as its service principal."""
    caller.see("servicePrincipals", memberships=False)
    return _page(caller.directory, caller.find("servicePrincipals", oid).owners)


def sponsors_of(caller: GraphCaller, oid: str, cast: str) -> dict[str, object]:
    caller.see("servicePrincipals", memberships=False)
    principal = caller.find("servicePrincipals", oid)
    if _CASTS.get(principal.kind) != cast:
        raise GraphError(400, "Request_BadRequest", f"Resource is not a {cast[:80]}.")
    return _page(caller.directory, principal.sponsors)


def _page(directory: TenantDirectory, oids: Iterable[str]) -> dict[str, object]:
    value = [{"@odata.type": f"#microsoft.graph.{_kind(directory, oid)}", "id": oid} for oid in oids]
    return {"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#directoryObjects", "value": value}


def _kind(directory: TenantDirectory, oid: str) -> str:
    known = directory.principals.get(oid)
    if known is None:
        return "group"
    return "user" if known.kind.person else "servicePrincipal"
