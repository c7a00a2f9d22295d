"""Judges the texts of a session's messages, and says when that has to wait. Pure.

Decides when a text is judged by someone else first: it takes too long here, or the catalog has to be read again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pgjit.judging.judge import Judgement
from pgjit.proxy.relay.client_plan import ClientPlan
from pgjit.proxy.relay.rejudging import JudgedAgain, Look
from pgjit.proxy.relay.relay_state import RelayState
from pgjit.proxy.relay.transitions import InputState

__all__ = ["ClientBatch", "NotJudged", "TextJudging", "UnknownName"]

_SKIPPED = InputState.SKIPPED


class NotJudged(Exception):
    """A statement takes too long to judge here: the judge's worker has to do it first."""


class UnknownName(Exception):
    """A statement uses a name that is not in the catalog, and the catalog was not read again yet."""


@dataclass(slots=True)
class ClientBatch:
    """Messages of the client that are judged and recorded together."""

    plan: ClientPlan
    now: int  # nanoseconds since 1970
    judged: Mapping[bytes, Judgement]  # by the judge's worker
    settled: bool  # the next message is judged for good, with the catalog as it is


class TextJudging:
    def __init__(
        self,
        state: RelayState,
        judge: Callable[[bytes], Judgement | None],
        latest: Callable[[], int],
        *,
        looks_again: bool,
    ) -> None:
        """`judge` returns None for what takes too long. `latest`: the number of the judge with the latest catalog.

        `looks_again`: no statement is refused for an unknown name before the catalog was read again.
        """
        self._state = state
        self._judge = judge
        self.latest = latest
        self._looks_again = looks_again
        self._again = JudgedAgain(latest, lambda: state.rules_since)
        self._just: tuple[bytes, Judgement | None] | None = None  # judged on the short way, which did not take it

    def close(self) -> None:
        """Nothing is judged any more, and the judge need not be held."""
        self._judge = lambda _: None
        self.latest = lambda: 0
        self._again = JudgedAgain(self.latest)

    def at_once(self, sql: bytes) -> Judgement | None:
        """The judgement of a text that the short way may take. None: it goes the long way."""
        judgement = self._judge(sql)
        if (
            judgement is None
            or judgement.violations
            or judgement.pgjit_setting is not None
            or not self._state.same_reading
        ):
            self._just = sql, judgement
            return None
        return judgement

    def judged(self, batch: ClientBatch, sql: bytes) -> Judgement:
        """Raises NotJudged and UnknownName, before anything was done about the message."""
        state, just, self._just = self._state, self._just, None
        judgement = batch.judged.get(sql)
        if judgement is not None and judgement.judge_number < state.rules_since:
            judgement = None  # the policy has changed while the judge's worker judged it
        if judgement is None:
            judgement = self._judge(sql) if just is None or just[0] != sql else just[1]
        if not state.same_reading and judgement is not None and (b"\\" in sql or not sql.isascii()):
            return Judgement(judgement.text, (), (), unread=True)
        if judgement is None:
            raise NotJudged(sql)
        if self._looks_again and not batch.settled and state.input is not _SKIPPED and judgement.has_unknown_name:
            raise UnknownName
        return judgement

    def as_judged_now(self, batch: ClientBatch) -> Look:
        """What was prepared, by the latest catalog and the policy as it is. Raises as `judged` does."""
        if self._state.unrestricted:
            return lambda prepared: prepared
        return lambda prepared: self._again.of_now(prepared, lambda sql: self.judged(batch, sql))

    def opened_by_rules_of_now(self, batch: ClientBatch) -> Look:
        """A cursor or portal that was opened under an earlier version of the policy, by the policy as it is.

        A changed catalog does not matter to it: the server has planned it. Raises as `judged` does.
        """
        state, again = self._state, self.as_judged_now(batch)
        return lambda prepared: prepared if prepared.judge >= state.rules_since else again(prepared)
