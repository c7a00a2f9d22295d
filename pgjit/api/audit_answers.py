"""Questions about the journal, answered by a process of their own, off the event loop.

Decides how long an answer may take once it is begun, how many are made at once and how many wait. While closed
segments are read for the first time, each call is refused at once, with how far that is. Does not know the
questions: `audit/reading/answering.py` does.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from pgjit.api.audit_child import COMMAND, AnswerUnusable, AuditChild, raise_fault
from pgjit.api.refusals import AuditPreparing, CallRefused

__all__ = ["AuditAnswers", "ChildAnswers", "answers_of"]

_log = logging.getLogger("pgjit.api")
_SECONDS: Final = 30.0
_AT_ONCE: Final = 1
_WAITING: Final = 8
_PREPARING_SECONDS: Final = 3600.0
_LONGEST_WAIT: Final = 600


class AuditAnswers(Protocol):
    async def answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a question of `audit/reading/answering.py`. Raises CallRefused."""

    async def aclose(self) -> None: ...


class ChildAnswers:
    """A process that reads closed segments for the first time goes on when its caller has waited long enough."""

    def __init__(
        self,
        folders: Sequence[Path],
        cache: Path,
        *,
        archive: str | None = None,
        seconds: float = _SECONDS,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self.child: AuditChild | None = None
        """The process that was started last."""
        self._command = command
        self._source = {"folders": [str(each) for each in folders], "cache": str(cache), "archive": archive}
        self._seconds = seconds
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._callers = 0
        self._preparing: tuple[AuditChild, asyncio.Task[None]] | None = None

    async def answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        self._refuse_while_preparing()
        if self._callers >= _AT_ONCE + _WAITING:
            raise _refused("audit is busy", 503, "Call again in a moment.")
        self._callers += 1
        try:
            async with self._places, asyncio.timeout(self._seconds):  # nobody pays for what others ask
                self._refuse_while_preparing()
                found = await self._run(json.dumps({**self._source, **question}).encode())
        except TimeoutError:
            self._refuse_while_preparing()
            raise _refused("audit took too long", 503, "Narrow it by `since` and `until`.") from None
        finally:
            self._callers -= 1
        raise_fault(found)
        return found

    @property
    def preparing(self) -> bool:
        """Whether a process reads on for the next caller."""
        return self._preparing is not None

    async def aclose(self) -> None:
        """End the process that reads on, if there is one."""
        if self._preparing is not None:
            task = self._preparing[1]
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self, question: bytes) -> dict[str, Any]:
        child = self.child = AuditChild(self._command)
        running = asyncio.create_task(child.run(question))
        try:
            return await asyncio.shield(running)
        except AnswerUnusable as fault:
            _log.error("an audit question failed with %s", fault)
            raise _refused("audit could not be read", 500, "The log of this proxy has the reason.") from None
        except asyncio.CancelledError:
            if child.preparing:
                self._preparing = child, asyncio.create_task(self._read_on(running))
            else:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
            raise

    async def _read_on(self, running: asyncio.Task[dict[str, Any]]) -> None:
        """Nobody waits for the answer; the cache is what the next call needs."""
        try:
            async with asyncio.timeout(_PREPARING_SECONDS):
                await running
        except (AnswerUnusable, TimeoutError) as fault:
            _log.error(
                "reading the journal's closed segments for the first time failed: %s", fault or "it took too long"
            )
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            self._preparing = None

    def _refuse_while_preparing(self) -> None:
        if self._preparing is not None:
            child = self._preparing[0]
            raise AuditPreparing(child.done, child.whole, min(child.seconds_left, _LONGEST_WAIT))


def answers_of(journal: Path, archive: str | None) -> ChildAnswers:
    """Answers from the journal that this process writes, and from its archive. The cache is in its folder,
    which nobody else may read."""
    return ChildAnswers([journal], journal / "reading-cache", archive=archive)


def _refused(message: str, status: int, hint: str) -> CallRefused:
    return CallRefused(message, reference="audit-unavailable", status=status, hint=hint)
