"""Prepared statements that were judged with an older catalog: they are judged again when they are to run. Pure.

The server plans what was prepared with what is there by now: a view may read other columns, a function may be another
one. INVARIANT: what runs by a name is allowed by the latest catalog, however long ago it was prepared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pgjit.judging.judge import Judgement
from pgjit.policy.decision import Violation
from pgjit.proxy.relay.prepared_statements import Prepared

__all__ = ["JudgedAgain", "Look"]

Look = Callable[[Prepared], Violation | None]


class JudgedAgain:
    """Which of them are allowed by the latest catalog, of one session."""

    def __init__(self, latest: Callable[[], int]) -> None:
        """`latest`: the number of the judge that has the latest catalog."""
        self._latest = latest
        self._by = 0
        self._allowed: set[str] = set()  # texts, which the names hold as well

    def refuses(self, prepared: Prepared, judge: Callable[[bytes], Judgement]) -> Violation | None:
        """Why it may not run any more. Raises what `judge` raises where that has to be found out elsewhere."""
        latest = self._latest()
        if prepared.statement is None or prepared.unread or prepared.judge == latest:
            return None
        if self._by != latest:
            self._by, self._allowed = latest, set()
        if prepared.text in self._allowed:
            return None
        judgement = judge(prepared.text.encode())
        if judgement.violations:
            return _by_now(judgement.violations[0])
        if judgement.judge_number == latest:
            self._allowed.add(prepared.text)
        return None


def _by_now(found: Violation) -> Violation:
    """Its place is one in the text that was prepared, and not in the one that is refused."""
    when = "It was allowed when it was prepared; what is on the server has changed since."
    return replace(found, position=None, statement=None, detail=f"{found.detail} {when}" if found.detail else when)
