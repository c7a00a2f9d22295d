"""Finds a statement or an idle transaction that lasts longer than the policy allows, by the proxy's own clock. Pure.

The server has the same limits as its own timeouts, and they are exact. But under `access: full`, a DO block or a
procedure can change those settings. So the proxy checks as well, a little later than the server would.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pgjit.policy.policy import Limits
from pgjit.proxy.relay.in_flight import Run
from pgjit.proxy.relay.relay_state import RelayState

__all__ = ["LOOK_SECONDS", "StatementTimeout"]

LOOK_SECONDS = 0.5
_SLACK = timedelta(seconds=0.5)
_AGAIN = 5_000_000_000  # nanoseconds
_IN_TRANSACTION = ("T", "E")


class StatementTimeout:
    def __init__(self, limits: Limits, state: RelayState) -> None:
        self._limits = limits
        self._state = state
        self._cancelled: tuple[Run, int] | None = None

    @property
    def needed(self) -> bool:
        return self._limits.statement_time is not None or self._limits.idle_in_transaction is not None

    def check(self, now: int) -> Literal["statement", "transaction"] | None:
        """What lasts too long: a statement, to be cancelled, or an idle transaction, which ends the session.

        `now`: in nanoseconds, as the relay's other times.
        """
        state, head = self._state, self._state.queue.head
        since = state.finished_at
        if head is None:
            idle = since if state.transaction_status in _IN_TRANSACTION else None
            return "transaction" if _exceeded(self._limits.idle_in_transaction, idle, now) else None
        run = head.current
        if run is None or not _exceeded(self._limits.statement_time, max(run.started, since or run.started), now):
            return None
        if self._cancelled is not None and self._cancelled[0] is run and now - self._cancelled[1] < _AGAIN:
            return None
        self._cancelled = (run, now)
        return "statement"


def _exceeded(most: timedelta | None, since: int | None, now: int) -> bool:
    if most is None or since is None:
        return False
    return timedelta(microseconds=(now - since) // 1000) >= most + _SLACK
