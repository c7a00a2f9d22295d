"""`reload`: read the configuration again, and put it in force."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from pgjit.api.caller import CallerRole
from pgjit.api.endpoints.windows import actor_of
from pgjit.api.refusals import CallRefused
from pgjit.api.reload_result import ChangedNames, ReloadResult
from pgjit.api.services import TheCall, TheServices

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


@router.post("/reload", response_model=ReloadJson)
async def reload(call: TheCall, services: TheServices) -> JSONResponse:
    """Read the configuration of this node again, and put it in force. With a fault in it nothing changes: 422."""
    role = call.require(CallerRole.ADMIN)

    async def action() -> ReloadJson:
        if services.reload is None:
            raise CallRefused("this node cannot reload", reference="reload-unavailable", status=503)
        return ReloadJson.of(await services.reload.run("api", actor_of(call)), services.node)

    return await call.change(role, "configuration", action)
