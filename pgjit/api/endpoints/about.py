"""`version`, `whoami` and `policies`: what this API is, who calls it, and which policies the caller sees.

A requester sees the policies that are open to the own groups; all others see every policy.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from pgjit.api.caller import Caller, CallerRole
from pgjit.api.refusals import NothingThere
from pgjit.api.services import ApiServices, TheCall, TheGroups, TheServices
from pgjit.api.shapes import PageJson, PolicyJson, VersionJson, WhoamiJson
from pgjit.policy.policy import Policy

__all__ = ["router", "visible_policies"]

router = APIRouter(tags=["about"])
_ALL = (CallerRole.REQUESTER, CallerRole.REVIEWER, CallerRole.AUDITOR, CallerRole.ADMIN)


@router.get("/version")
async def version(services: TheServices) -> VersionJson:
    """The version of this proxy, and the name of its node."""
    return VersionJson(version=services.version, node=services.node, api="v1")


@router.get("/whoami")
async def whoami(call: TheCall, groups: TheGroups) -> WhoamiJson:
    """The caller's identity, roles and groups."""
    return WhoamiJson.of(call.caller, directory=groups.known)


@router.get("/policies")
async def policies(call: TheCall, services: TheServices) -> PageJson[PolicyJson]:
    """The policies that the caller may see, by name."""
    call.require(*_ALL)
    return PageJson(items=[PolicyJson.of(each) for each in visible_policies(call.caller, services)], next=None)


@router.get("/policies/{name}")
async def policy(
    name: Annotated[str, Path(min_length=1, max_length=128)], call: TheCall, services: TheServices
) -> PolicyJson:
    """One policy."""
    call.require(*_ALL)
    for each in visible_policies(call.caller, services):
        if each.name == name:
            return PolicyJson.of(each)
    raise NothingThere("policy", name)


def visible_policies(caller: Caller, services: ApiServices) -> list[Policy]:
    everything = sorted(services.policies.values(), key=lambda policy: policy.name)
    if caller.roles - {CallerRole.REQUESTER}:
        return everything
    identity = caller.identity
    return [each for each in everything if each.identity.selects(each.group, identity.groups, identity.roles)]
