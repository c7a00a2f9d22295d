"""`health`: what `/readyz?verbose` of the admin port knows, for people who cannot reach that port."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from pgjit.api.caller import CallerRole
from pgjit.api.refusals import CallRefused
from pgjit.api.services import TheCall, TheServices

__all__ = ["router"]

router = APIRouter(tags=["health"])


class CheckJson(BaseModel):
    """`state`: `ok`, `warning` or `failed`, `since` then. `known`: what was seen. `hint`: where to look."""

    name: str
    state: str
    known: str
    since: str
    hint: str | None = None


class HealthJson(BaseModel):
    """Whether the process that answers is ready: `ready` or `not ready`. With several workers it is one of them."""

    node: str
    version: str
    status: str
    checks: list[CheckJson]
    warnings: list[str]


@router.get("/health")
async def health(call: TheCall, services: TheServices) -> HealthJson:
    """The checks of this node's readiness, with what is known of each. It answers 200 also when a check fails."""
    call.require(CallerRole.REVIEWER, CallerRole.AUDITOR, CallerRole.ADMIN)
    report = services.readiness()
    if report is None:
        raise CallRefused(
            "health is not known yet",
            reference="health-unknown",
            status=503,
            detail="This node is starting.",
            hint="Call again in a moment.",
        )
    checks = [CheckJson(name=each.name, **each.document) for each in report.checks]
    return HealthJson(
        node=services.node,
        version=services.version,
        status="ready" if report.ready else "not ready",
        checks=checks,
        warnings=report.warnings,
    )
