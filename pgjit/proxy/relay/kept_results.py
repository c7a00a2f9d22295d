"""Keeps results under `record: results`, before the client receives them.

INVARIANT: no row that is to be kept reaches the client before it is in its file. The rows of a result are held until
the result is complete, or as large as is kept. A result that cannot be kept is not passed on: the session ends.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from pgjit.audit.event import Outcome, SessionContext
from pgjit.audit.results.capture import ResultCapture
from pgjit.audit.results.result_files import ResultFiles
from pgjit.proxy.relay.named_values import ExecutedStatement
from pgjit.proxy.relay.send_queue import SendQueue
from pgjit.proxy.relay.server_step import ServerStep

__all__ = ["KeptResults", "capture_of"]

_log = logging.getLogger("pgjit.journal")


class KeptResults:
    """The results of one session: those that are held, and whether any can still be kept."""

    def __init__(self, files: ResultFiles, queue: SendQueue, failed: Callable[[], None]) -> None:
        """`failed` is called when a result could not be kept; nothing is passed on after that."""
        self._files = files
        self._queue = queue
        self._failed = failed
        self._held: list[bytes] = []
        self._over = False

    @property
    def writable(self) -> bool:
        """Whether a result could be kept now. If not, nothing may run."""
        return not self._over and self._files.writable

    def pass_on(self, step: ServerStep) -> list[bytes]:
        """What the client may have, in order with what was held. Called before the step's events are recorded."""
        for event in step.events:
            if isinstance(event, Outcome) and event.result is not None:
                self._keep(event.result)
        head = self._queue.head
        run = None if head is None else head.current
        capture = None if run is None else run.capture
        if capture is not None and capture.full:
            self._keep(capture)
        self._held += step.data
        if self._over:
            self._held.clear()
        elif capture is None or not capture.waiting:
            passed, self._held = self._held, []
            return passed
        return []

    def _keep(self, capture: ResultCapture) -> None:
        if not capture.waiting:
            return
        try:
            capture.reference = self._files.keep(capture.line())
        except OSError as error:
            capture.failed = self._over = True
            _log.error("a result cannot be kept, and is not passed on: %s", error)
            self._failed()


def capture_of(context: SessionContext, number: int, executed: ExecutedStatement) -> ResultCapture:
    """`context.results` is there. Decides which columns of the result are redacted."""
    assert context.results is not None
    redaction, statement = context.redaction, executed.statement
    open_origins: frozenset[tuple[int, int]] | None = None
    if redaction is not None and redaction.columns is not None:
        summary = None if statement is None else statement.summary
        redacted = None if summary is None else summary.redacted
        if redacted is None or executed.unresolved is not None or executed.unread:
            open_origins = frozenset()
        elif redacted.touches:
            open_origins = redacted.open_origins
    return ResultCapture(f"{context.session_id}/{number}", context.results, redaction, open_origins)
