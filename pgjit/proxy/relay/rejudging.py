"""Judges a prepared statement again before it runs, if the catalog or the policy has changed since. Pure.

The server plans a prepared statement with its present catalog: a view may read other columns by now, a function may
be another one. INVARIANT: what runs by a name is allowed by the latest catalog and by the policy as it is, however
long ago it was prepared. What either would refuse if it were enforced is on record.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pgjit.judging.judge import Judgement
from pgjit.policy.decision import Violation
from pgjit.proxy.relay.named_values import Prepared

__all__ = ["JudgedAgain", "Look"]

Look = Callable[[Prepared], "Prepared | Violation"]
"""What was prepared as it is judged now: itself, the same with other observed violations, or why it may not run."""


class JudgedAgain:
    """Remembers for one session which texts the latest catalog and the policy allow."""

    def __init__(self, latest: Callable[[], int], rules_since: Callable[[], int] = lambda: 0) -> None:
        """`latest` returns the number of the judge that has the latest catalog.

        `rules_since`: judges of lower numbers judged by an earlier version of the policy.
        """
        self._latest = latest
        self._rules_since = rules_since
        self._by = 0
        # By text: what would refuse it if it were enforced. Bounded: the prepared statements hold these texts.
        self._allowed: dict[str, tuple[Violation, ...]] = {}

    def of_now(self, prepared: Prepared, judge: Callable[[bytes], Judgement]) -> Prepared | Violation:
        """As `Look`. Raises what `judge` raises: the judge's worker may have to do it."""
        latest = self._latest()
        if prepared.statement is None or prepared.unread or prepared.judge == latest:
            return prepared
        if self._by != latest:
            self._by, self._allowed = latest, {}
        if (observed := self._allowed.get(prepared.text)) is not None:
            return _observed(prepared, observed)
        judgement = judge(prepared.text.encode())
        if judgement.violations:
            by_policy = prepared.judge < self._rules_since()
            return _changed_since(judgement.violations[0], "the policy" if by_policy else "what is on the server")
        if judgement.judge_number == latest:
            self._allowed[prepared.text] = judgement.observed
        return _observed(prepared, judgement.observed)


def _observed(prepared: Prepared, observed: tuple[Violation, ...]) -> Prepared:
    return prepared if prepared.observed == observed else replace(prepared, observed=observed)


def _changed_since(violation: Violation, what: str) -> Violation:
    """Without a position: that is one in the prepared text, and the client sent another one."""
    when = f"It was allowed when it was prepared; {what} has changed since."
    detail = f"{violation.detail} {when}" if violation.detail else when
    return replace(violation, position=None, statement=None, detail=detail)
