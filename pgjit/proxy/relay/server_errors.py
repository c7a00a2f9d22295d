"""The server's errors and reports of settings: what the client reads of them, and how executions have ended. Pure.

Decides which error the client reads: the server's own, the refusal behind it, the policy's limit, or the end of the
session. Ends the session when a setting changes that must not. `server_side.py` decides where an error belongs.
"""

from __future__ import annotations

from pgjit.audit.event import Ended
from pgjit.errors import BudgetSpent, ServerEndedSession, ServerUnavailable
from pgjit.policy.session_settings import UTF8
from pgjit.proxy.relay.in_flight import InFlight, Run
from pgjit.proxy.relay.late_executions import commit_failed, rejected_before_execution
from pgjit.proxy.relay.reading_settings import reads_differently
from pgjit.proxy.relay.relay_state import RelayState
from pgjit.proxy.relay.server_step import ServerStep
from pgjit.proxy.relay.transitions import EndEvent, InFlightState, InputEvent, RequestEvent
from pgjit.proxy.window.end_errors import WorkOutcome, with_work_outcome
from pgwire.messages.query import decode_error, decode_parameter_status, error_response
from pgwire.state import RequestKind

__all__ = ["ServerErrors"]

_LONGEST_FIELD = 1000
"""Characters of a field of an error, where the policy limits what a result may give."""
_QUOTING = ("21", "22", "23", "44")
"""Classes of errors whose DETAIL may quote data: constraints, subqueries of more than one row, values."""


class ServerErrors:
    """Turns each error of one session's server into what the client reads, and ends what it ended."""

    def __init__(self, state: RelayState, tripwire: dict[str, str], *, hides_details: bool) -> None:
        self._state = state
        self._tripwire = tripwire
        self.hides_details = hides_details

    def answer(self, step: ServerStep, raw: bytes, head: InFlight | None, now: int) -> bytes | None:
        state, fields = self._state, decode_error(raw[5:])
        if _is_fatal(fields):
            if state.ending:
                if head is not None:
                    state.move_end(EndEvent.STOPPED)
                return b""
            state.last_words = ServerEndedSession(fields.get("C", "XX000"), fields.get("M", "no message"))
            state.move_end(EndEvent.FATAL)
        if head is None:
            return None
        unseen = state.copy_in.stop()
        cut = head.state is InFlightState.CUT
        head.move(RequestEvent.ERROR)
        state.finished_at = now
        if head.rejection is not None:
            replaced = self._rejected(step, raw, fields, head, now)
        else:
            replaced = self._failed(step, fields, head, now, cut=cut)
        self._after_error(step, head, now)
        step.to_server += b"".join([state.late_sync() for _ in range(unseen)])
        return replaced

    def _rejected(
        self, step: ServerStep, raw: bytes, fields: dict[str, str], head: InFlight, now: int
    ) -> bytes | None:
        """Any error rejects a refused request: another one may come first (a cancel, a timeout)."""
        rejection = head.rejection
        assert rejection is not None
        ours = rejection.is_answer(raw)
        sqlstate = rejection.error.fields()["C"] if ours else fields.get("C")
        step.events.extend(self._state.recorder.finish(head, now, "refused", sqlstate))
        return rejection.response() if ours else self._cancelled(fields)

    def _failed(
        self, step: ServerStep, fields: dict[str, str], head: InFlight, now: int, *, cut: bool
    ) -> bytes | None:
        recorder, limited = self._state.recorder, None
        if (run := head.current) is not None:
            head.at += 1
            limited = self._limit(run, now, fields.get("C"), cut=cut)
            ended: Ended = "failed" if limited is None else "limited"
            step.events.append(recorder.outcome(run, now, ended, limited.fields() if limited else fields))
        elif (brought := head.brings) is not None:
            step.events.extend(rejected_before_execution(self._state, brought, now, fields))
        elif head.kind is RequestKind.SYNC and not _is_fatal(fields):
            step.events.extend(commit_failed(self._state, now, fields))
        step.events.extend(recorder.finish(head, now, "skipped"))
        if limited is not None:
            return error_response(limited.fields())
        return self._cancelled(fields) or self._discreet(fields)

    def _discreet(self, fields: dict[str, str]) -> bytes | None:
        """The server's error without data that a result could not have; None: it has no such data."""
        shown = dict(fields)
        if self.hides_details and fields.get("C", "").startswith(_QUOTING):
            shown.pop("D", None)  # it quotes the row, or the key
        if self._state.budget.limits_results:
            shown = {code: _shortened(text) for code, text in shown.items()}
        return None if shown == fields else error_response(shown)

    def _limit(self, run: Run, now: int, sqlstate: str | None, *, cut: bool) -> BudgetSpent | None:
        """The policy's limit behind the server's error. None: the error has another reason."""
        budget = self._state.budget
        if cut:
            return budget.exceeded(run.rows, run.size, stopped=True)
        return budget.overran(run.started, now) if sqlstate == "57014" and self._state.end_error is None else None

    def _cancelled(self, fields: dict[str, str]) -> bytes | None:
        """The server cancelled a statement because pgjit ends the session: the error gives the reason already here.

        Many clients leave at the first error and never read the FATAL that follows.
        """
        error = self._state.end_error
        if error is None or fields.get("C") != "57014":
            return None
        self._state.move_end(EndEvent.STOPPED)
        why = {code: text for code, text in with_work_outcome(error, WorkOutcome.CANCELLED).items() if code in "DHR"}
        message = error.message.replace("terminating connection", "canceling statement")
        return error_response({**fields, "M": message, **why})

    def _after_error(self, step: ServerStep, head: InFlight, now: int) -> None:
        """An error in the extended protocol makes the server pass over everything up to the next Sync."""
        state, requests = self._state, self._state.queue.requests
        if head.kind not in (RequestKind.QUERY, RequestKind.FUNCTION_CALL, RequestKind.SYNC):
            while requests and requests[0].kind is not RequestKind.SYNC:
                passed_over = state.queue.pop()
                passed_over.move(RequestEvent.PASSED_OVER)
                step.events.extend(state.recorder.finish(passed_over, now, "skipped"))
            if not requests:
                state.move_input(InputEvent.ERROR)
        elif head.kind is RequestKind.QUERY:
            state.prepared_statements.confirm(head.changes)
            head.changes = ()
        state.fall_back()

    def watch(self, step: ServerStep, body: bytes) -> None:
        name, value = decode_parameter_status(body)
        if self._state.unrestricted and reads_differently(name, value):
            self._state.read_differently()
        expected = self._tripwire.get(name)
        if expected is not None and value != expected and not (name == "client_encoding" and value.lower() in UTF8):
            step.reason = "tripwire"
            step.fault = ServerUnavailable(
                f"terminating connection: setting `{name}` changed",
                reference="tripwire",
                detail=f"It was `{expected}` and is now `{value}`: what is judged may no longer be what runs.",
                hint="Connect again, and leave this setting as it is.",
            )


def _is_fatal(fields: dict[str, str]) -> bool:
    return fields.get("V", fields.get("S", "ERROR")) in ("FATAL", "PANIC")


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_FIELD else f"{text[:_LONGEST_FIELD]}... (cut)"
