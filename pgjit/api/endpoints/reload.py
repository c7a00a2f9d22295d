"""`reload`: read the configuration again, and put it in force; and how that went the last time."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from pgjit.api.caller import CallerRole
from pgjit.api.endpoints.windows import actor_of
from pgjit.api.refusals import CallRefused
from pgjit.api.reload_result import ChangedNames, ReloadResult, ReloadService
from pgjit.api.services import ApiServices, TheCall, TheServices

__all__ = ["router"]

router = APIRouter(tags=["reload"])


class ChangedNamesJson(BaseModel):
    added: list[str]
    changed: list[str]
    removed: list[str]

    @classmethod
    def of(cls, names: ChangedNames) -> ChangedNamesJson:
        return cls(added=list(names.added), changed=list(names.changed), removed=list(names.removed))


class ShorterWindowJson(BaseModel):
    """A window that ends earlier than it did. `reason` is `ttl` if it only became shorter."""

    id: str
    policy: str
    ends_at: datetime
    reason: str


class ReloadJson(BaseModel):
    """What is in force now. `restart`: keys whose new values need a restart of this node."""

    node: str
    config_hash: str
    policies: ChangedNamesJson
    connections: ChangedNamesJson
    keys: list[str]
    restart: list[str]
    windows: list[ShorterWindowJson]
    sessions_following: int
    sessions_leaving: int
    warnings: list[str]

    @classmethod
    def of(cls, result: ReloadResult, node: str) -> ReloadJson:
        return cls(
            node=node,
            config_hash=result.config_hash,
            policies=ChangedNamesJson.of(result.policies),
            connections=ChangedNamesJson.of(result.connections),
            keys=list(result.keys),
            restart=list(result.restart),
            windows=[
                ShorterWindowJson(id=each.id, policy=each.policy, ends_at=each.ends_at, reason=each.reason)
                for each in result.windows
            ],
            sessions_following=result.sessions_following,
            sessions_leaving=result.sessions_leaving,
            warnings=list(result.warnings),
        )


class ReloadStandingJson(BaseModel):
    """`refused_at`, `faults`: of the last reload, if it was refused; what was in force before is in force still.

    `restart`: keys whose values in the files need a restart of this node.
    """

    node: str
    in_force_since: datetime
    refused_at: datetime | None
    faults: list[str]
    restart: list[str]


@router.get("/reload")
async def standing(call: TheCall, services: TheServices) -> ReloadStandingJson:
    """Since when the configuration of this node is in force, and why a later one is not."""
    call.require(CallerRole.REVIEWER, CallerRole.AUDITOR, CallerRole.ADMIN)
    found = _service(services).standing
    return ReloadStandingJson(
        node=services.node,
        in_force_since=found.in_force_since,
        refused_at=found.refused_at,
        faults=list(found.faults),
        restart=list(found.restart),
    )


@router.post("/reload", response_model=ReloadJson)
async def reload(call: TheCall, services: TheServices) -> JSONResponse:
    """Read the configuration of this node again, and put it in force. With a fault in it nothing changes: 422."""
    role = call.require(CallerRole.ADMIN)

    async def action() -> ReloadJson:
        return ReloadJson.of(await _service(services).run("api", actor_of(call)), services.node)

    return await call.change(role, "configuration", action)


def _service(services: ApiServices) -> ReloadService:
    if services.reload is None:
        raise CallRefused("this node cannot reload", reference="reload-unavailable", status=503)
    return services.reload
