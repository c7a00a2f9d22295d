"""The admin endpoints: liveness, readiness, metrics. They show nothing of what agents do.

Decides the paths and their status codes. Which conditions make pgjit ready is decided by the caller.
"""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI, Response

from pgjit.telemetry.prometheus import CONTENT_TYPE

__all__ = ["admin_api"]


def admin_api(
    checks: dict[str, Callable[[], bool]], page: Callable[[], bytes], warnings: Callable[[], list[str]]
) -> FastAPI:
    """`checks` are conditions by name. pgjit is ready when all of them are true. `page`: the metrics.

    `warnings`: what people should look at, although pgjit is ready.
    """
    api = FastAPI(title="pgjit admin", docs_url=None, redoc_url=None)

    @api.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Alive: the event loop responds."""
        return {"status": "alive"}

    @api.get("/readyz")
    async def readyz(response: Response) -> dict[str, object]:
        """Ready: logins can be checked and recorded. Otherwise 503, with the conditions that are not met."""
        states = {name: check() for name, check in checks.items()}
        ready = all(states.values())
        response.status_code = 200 if ready else 503
        return {"status": "ready" if ready else "not ready", "checks": states, "warnings": warnings()}

    @api.get("/metrics")
    async def metrics() -> Response:
        return Response(page(), media_type=CONTENT_TYPE)

    return api
