"""A part of a page that may not be known now: the page reports that, and shows the rest.

Decides which refusals of the API these are: those of a store, a journal or a directory that is away or busy. Others
concern the whole page.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

from pgjit.console.refusals import ConsoleApiProblem

__all__ = ["KnownPart", "known"]


@dataclass(frozen=True, slots=True)
class KnownPart:
    """One of both is set. INVARIANT: no earlier value stands in for one that cannot be read now."""

    value: dict[str, Any] | None
    problem: ConsoleApiProblem | None = None


async def known(call: Awaitable[dict[str, Any]]) -> KnownPart:
    """The answer, or why there is none. Raises ConsoleApiProblem of any other kind."""
    try:
        return KnownPart(await call)
    except ConsoleApiProblem as problem:
        if problem.status < 500:
            raise
        return KnownPart(None, problem)
