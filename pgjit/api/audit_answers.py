"""Questions about the journal, answered by a process of their own, off the event loop.

Decides how long an answer may take, how many are made at once and how many wait, and how large one may be. Does not
know the questions: `audit/reading/answering.py` does.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from pgjit.api.refusals import CallRefused

__all__ = ["AuditAnswers", "ChildAnswers", "answers_of"]

_log = logging.getLogger("pgjit.api")
_SECONDS: Final = 30.0
_AT_ONCE: Final = 1
_WAITING: Final = 8
_LARGEST: Final = 32 << 20
_MODULE: Final = "pgjit.audit.reading.answering"


class AuditAnswers(Protocol):
    async def answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a question of `audit/reading/answering.py`. Raises CallRefused."""


class ChildAnswers:
    def __init__(self, folders: Sequence[Path], cache: Path, *, seconds: float = _SECONDS) -> None:
        self._source = {"folders": [str(each) for each in folders], "cache": str(cache)}
        self._seconds = seconds
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._callers = 0

    async def answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        if self._callers >= _AT_ONCE + _WAITING:
            raise _refused("audit is busy", 503, "Call again in a moment.")
        self._callers += 1
        try:
            async with asyncio.timeout(self._seconds), self._places:
                found = await self._run(json.dumps({**self._source, **question}).encode())
        except TimeoutError:
            hint = "Narrow it by `since` and `until`. The first reading of a large journal takes longer."
            raise _refused("audit took too long", 503, hint) from None
        finally:
            self._callers -= 1
        if (fault := found.get("fault")) is not None:
            raise CallRefused(
                fault["message"],
                reference=fault["reference"],
                status=fault["status"],
                detail=fault["detail"],
                hint=fault["hint"],
            )
        return found

    async def _run(self, question: bytes) -> dict[str, Any]:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", _MODULE, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            output, errors = await child.communicate(question)
        finally:
            if child.returncode is None:
                child.kill()
                await asyncio.shield(child.wait())
        if child.returncode != 0 or len(output) > _LARGEST:
            last = errors.decode("utf-8", "replace").strip().rpartition("\n")[2]
            _log.error("an audit question failed with %s and %d bytes: %s", child.returncode, len(output), last)
            raise _refused("audit could not be read", 500, "The log of this proxy has the reason.")
        found: dict[str, Any] = json.loads(output)
        return found


def answers_of(journal: Path) -> ChildAnswers:
    """Answers from the journal that this process writes. The cache is in its folder, which nobody else may read."""
    return ChildAnswers([journal], journal / "reading-cache")


def _refused(message: str, status: int, hint: str) -> CallRefused:
    return CallRefused(message, reference="audit-unavailable", status=status, hint=hint)
