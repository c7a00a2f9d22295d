"""`/sessions/{id}/replay`: a session as it happened, step by step, with its own pauses.

Decides what of a record is a step, and how many steps are on a page.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from fastapi.responses import Response

from pgjit.audit.reading.record_words import outcome_words, record_words
from pgjit.console.list_part import list_part
from pgjit.console.page import ThePage

__all__ = ["ReplayStep", "router", "steps_of"]

router = APIRouter()
_PER_PAGE: Final = 500
_LONGEST: Final = 4000  # characters of a statement
Text = Annotated[str | None, Query(max_length=20)]


@dataclass(frozen=True, slots=True)
class ReplayStep:
    """`at`: milliseconds since the session's first record. `statement` is None for all but executions."""

    number: int
    at: int
    pause: int
    kind: str
    words: str
    statement: str | None
    more: bool
    refused: bool
    failed: bool
    execution: str | None

    @property
    def clock(self) -> str:
        seconds, rest = divmod(self.at, 1000)
        return f"+{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}"


@router.get("/sessions/{session_id}/replay")
async def replay(page: ThePage, session_id: str, begin: Text = None) -> Response:
    """The steps of a session from `begin` on."""
    found = await page.api.get(f"/audit/sessions/{session_id}")
    steps = steps_of(found["records"])
    return page.show(
        "replay.html",
        session=found["session"],
        session_id=session_id,
        part=list_part(steps, begin or "", _PER_PAGE),
        count=len(steps),
        more=found["more"],
        complete=found["complete"],
    )


def steps_of(records: list[dict[str, Any]]) -> list[ReplayStep]:
    """A clock that went back is no pause."""
    steps: list[ReplayStep] = []
    last: datetime | None = None
    at = 0
    for number, record in enumerate(records, 1):
        moment = datetime.fromisoformat(str(record["time"]))
        pause = 0 if last is None else max(0, round((moment - last).total_seconds() * 1000))
        last, at = moment, at + pause
        steps.append(_step(number, at, pause, record))
    return steps


def _step(number: int, at: int, pause: int, record: dict[str, Any]) -> ReplayStep:
    kind = str(record["type"])
    text = str(record.get("statement", "")) if kind == "execution" else None
    refused = record.get("decision") == "deny"
    words = "refused by a rule" if refused else ""
    if kind == "outcome":
        words = outcome_words(record)
    elif kind != "execution":
        words = record_words(record)
    execution = record.get("execution")
    return ReplayStep(
        number=number,
        at=at,
        pause=pause,
        kind=kind,
        words=words,
        statement=None if text is None else text[:_LONGEST],
        more=text is not None and len(text) > _LONGEST,
        refused=refused,
        failed=record.get("ended") in ("failed", "limited", "cut"),
        execution=execution if isinstance(execution, str) else None,
    )
