"""When the journal has no answer: the page lists what is not known, shows the progress, and nothing old.

Decides which problems a page shows beside its form: those of the question, and those that end by themselves.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final

from fastapi.responses import HTMLResponse

from pgjit.console.refusals import ConsoleApiProblem

__all__ = ["away_of", "is_away", "shown_problem", "tried"]

_UNAVAILABLE: Final = 503
_NOT_ACCEPTED: Final = (400, 422)


async def tried(call: Awaitable[dict[str, Any]]) -> dict[str, Any] | ConsoleApiProblem:
    """What the API returns, or its problem."""
    try:
        return await call
    except ConsoleApiProblem as problem:
        return problem


def is_away(problem: ConsoleApiProblem) -> bool:
    """Whether the same question may have an answer later."""
    return problem.status == _UNAVAILABLE


def shown_problem(problem: ConsoleApiProblem) -> ConsoleApiProblem:
    """A problem of the question, or of the time: the page shows it beside its form. Raises every other one."""
    if problem.status not in _NOT_ACCEPTED and not is_away(problem):
        raise problem
    return problem


def away_of(problem: ConsoleApiProblem | None, response: HTMLResponse) -> HTMLResponse:
    """The response with `Retry-After`, where the API has given it."""
    if problem is not None and problem.retry_after is not None:
        response.headers["retry-after"] = str(problem.retry_after)
    return response
