"""The admin endpoints: liveness, readiness, metrics. They show nothing of what agents do.

Decides the paths, their status codes and the form of their answers. What makes pgjit ready is decided by the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import FastAPI, Header, Query, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from pgjit.api.readiness import ReadinessBoard
from pgjit.telemetry.prometheus import CONTENT_TYPE

__all__ = ["admin_api"]


def admin_api(board: ReadinessBoard, page: Callable[[], bytes]) -> FastAPI:
    """`page`: the metrics."""
    api = FastAPI(title="pgjit admin", docs_url=None, redoc_url=None)

    @api.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Alive: the event loop responds."""
        return {"status": "alive"}

    @api.get("/readyz", response_model=None)
    async def readyz(
        verbose: Annotated[str | None, Query(description="each check with what is known, as text")] = None,
        format: Annotated[str | None, Query(description="`json` or `text`")] = None,  # noqa: A002 - its public name
        exclude: Annotated[list[str] | None, Query(description="a check that does not count")] = None,
        accept: Annotated[str, Header()] = "*/*",
    ) -> Response:
        """Ready: logins can be checked and recorded. Otherwise 503, with the checks that fail."""
        report = board.asked(exclude or ())
        status = 200 if report.ready else 503
        if verbose is None or verbose.lower() in ("false", "0"):
            return JSONResponse(report.document, status)
        if format == "json" or (format is None and _prefers_json(accept)):
            return JSONResponse(report.verbose_document, status)
        return PlainTextResponse(report.text, status)

    @api.get("/metrics")
    async def metrics() -> Response:
        return Response(page(), media_type=CONTENT_TYPE)

    return api


def _prefers_json(accept: str) -> bool:
    """Text is for `curl`, which accepts everything."""
    kinds = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    return "application/json" in kinds and "text/plain" not in kinds
