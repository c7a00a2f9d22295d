"""Health: what the node knows of itself, each check with what was seen and what to look at."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from pgjit.console.known import known
from pgjit.console.page import ConsolePage, TheLivePage, ThePage

__all__ = ["router"]

router = APIRouter()


@router.get("/health")
async def health(page: ThePage) -> HTMLResponse:
    return page.show("health.html", **await _known(page))


@router.get("/health/checks")
async def checks(page: TheLivePage) -> HTMLResponse:
    """The part of the page that is read again while it is open."""
    return page.show("health-checks.html", **await _known(page))


async def _known(page: ConsolePage) -> dict[str, Any]:
    found = await known(page.api.get("/health"))
    return {"health": found.value, "unknown": found.problem}
