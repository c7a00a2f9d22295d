"""The admin pages of a node with several workers: health, readiness, and the metrics of all its processes.

Decides that the node is ready when every slot has a worker that is ready.
"""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

from fastapi import FastAPI, Header, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from pgjit.app.supervisor.merged_metrics import merged
from pgjit.app.supervisor.supervisor import Supervisor
from pgjit.app.supervisor.worker_child import WorkerChild
from pgjit.app.supervisor.worker_slot import SlotState, WorkerSlot
from pgjit.telemetry.metrics import Metrics
from pgjit.telemetry.prometheus import CONTENT_TYPE, PrometheusPage

__all__ = ["supervisor_pages"]

_OWN = "supervisor"


def supervisor_pages(supervisor: Supervisor) -> FastAPI:
    api = FastAPI(title="pgjit admin", docs_url=None, redoc_url=None)
    metrics = Metrics()
    metrics.workers.watch(lambda: _states(supervisor))
    metrics.worker_restarts.watch(lambda: {(): supervisor.restarts})
    page = PrometheusPage([metrics.workers, metrics.worker_restarts])

    @api.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Alive: the event loop of the supervisor responds. It restarts a worker that dies."""
        return {"status": "alive"}

    @api.get("/readyz", response_model=None)
    async def readyz(request: Request, accept: Annotated[str, Header()] = "*/*") -> Response:
        """Ready: every slot has a worker that is ready. Otherwise 503, with what each lacks.

        Each worker answers in the form that the query wants: see `api/health.py`.
        """
        path = f"/readyz?{request.url.query}" if request.url.query else "/readyz"
        serving = [slot.worker for slot in supervisor.slots if slot.worker is not None]
        answers = dict(zip(serving, await _pages(serving, path, accept), strict=True))
        reports = [
            _SlotReport(slot, (0, "") if slot.worker is None else answers.get(slot.worker, (0, "")))
            for slot in supervisor.slots
        ]
        draining = [child for child in supervisor.children if child.draining]
        ready = all(each.ready for each in reports) and not supervisor.stopping
        if any(each.is_text for each in reports):
            return PlainTextResponse(_text(reports, draining, ready=ready), 200 if ready else 503)
        return JSONResponse(_document(reports, draining, ready=ready), 200 if ready else 503)

    @api.get("/metrics")
    async def all_metrics() -> Response:
        children = sorted(supervisor.children, key=lambda child: child.name)
        answers = zip(children, await _pages(children, "/metrics"), strict=True)
        pages = {child.number: text for child, (status, text) in answers if status == 200}
        return Response(merged({**pages, _OWN: page().decode()}), media_type=CONTENT_TYPE)

    return api


async def _pages(children: list[WorkerChild], path: str, accept: str = "*/*") -> list[tuple[int, str]]:
    return await asyncio.gather(*(child.page(path, accept) for child in children))


class _SlotReport:
    """What the worker of a slot reports of its readiness, as JSON or as text."""

    def __init__(self, slot: WorkerSlot[WorkerChild], answer: tuple[int, str]) -> None:
        status, self.body = answer
        self.ready = status == 200
        self.slot = slot
        self.document: dict[str, Any] = {}
        try:
            self.document = json.loads(self.body) if status else {"status": "does not answer"}
            self.is_text = False
        except ValueError:
            self.is_text = True

    @property
    def name(self) -> str:
        return f"slot {self.slot.number + 1}" if self.slot.worker is None else self.slot.worker.name

    @property
    def process(self) -> int | None:
        return None if self.slot.worker is None else self.slot.worker.process.pid

    @property
    def state(self) -> str:
        return self.slot.state.value


def _document(reports: list[_SlotReport], draining: list[WorkerChild], *, ready: bool) -> dict[str, object]:
    workers = {each.name: {"process": each.process, "state": each.state, **each.document} for each in reports}
    workers |= {child.name: {"process": child.process.pid, "state": "draining"} for child in draining}
    return {
        "status": "ready" if ready else "not ready",
        "checks": {each.name: each.ready for each in reports},
        "warnings": [f"{each.name}: {text}" for each in reports for text in each.document.get("warnings", ())],
        "workers": workers,
    }


def _text(reports: list[_SlotReport], draining: list[WorkerChild], *, ready: bool) -> str:
    lines = []
    for each in reports:
        lines += [f"worker {each.name} (process {each.process}, {each.state})", *each.body.splitlines(), ""]
    lines += [f"worker {child.name} (process {child.process.pid}, draining)" for child in draining]
    return "\n".join([*lines, f"node is {'ready' if ready else 'not ready'}", ""])


def _states(supervisor: Supervisor) -> dict[tuple[str, ...], float]:
    counts: dict[tuple[str, ...], float] = {(state.value,): 0 for state in SlotState}
    for slot in supervisor.slots:
        counts[slot.state.value,] += 1
    counts["draining",] = sum(child.draining for child in supervisor.children)
    return counts
