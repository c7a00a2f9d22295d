"""Makes the relay's records: an Execution before a statement runs or when it is refused, an Outcome when it ended.

Decides only what the records contain. It judges no statement and writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pgjit.audit.event import Ended, Event, Execution, Outcome, Parameters, SessionContext
from pgjit.judging.judge import Judgement
from pgjit.policy.decision import Violation
from pgjit.proxy.relay.in_flight import InFlight, Run
from pgjit.proxy.relay.kept_results import capture_of
from pgjit.proxy.relay.named_values import ExecutedStatement
from pgjit.proxy.relay.protocol_rules import refused_sibling
from pgjit.sql.statement import Statement

__all__ = ["Protocol", "Recorder"]

Protocol = Literal["simple", "extended"]


class Recorder:
    """For one session. A record is appended to `events`: the list of the plan or of the step.

    Times are nanoseconds since 1970.
    """

    def __init__(self, context: SessionContext) -> None:
        self._context = context
        self.executions = 0
        self.rows = 0
        self.bytes = 0
        self.received = 0

    def execution(
        self,
        events: list[Event],
        now: int,
        protocol: Protocol,
        executed: ExecutedStatement,
        *,
        violations: Sequence[Violation] | None = None,
    ) -> Run:
        self.executions += 1
        run = Run(self.executions, now)
        run.copies_out = executed.kind == "copy-out"
        if self._context.results is not None:
            run.capture = capture_of(self._context, run.number, executed)
        summary = None if executed.statement is None else executed.statement.summary
        # Without the names of the fields: with them it takes three times as long.
        run.execution = event = Execution(
            self._context, run.number, now, protocol, executed.text, executed.kind,
            "allow" if violations is None else "deny",
            executed.observed if violations is None else tuple(violations),
            executed.parameters, executed.prepared_as, executed.through, executed.unresolved, summary,
        )  # fmt: skip
        events.append(event)
        return run

    def plain(
        self,
        events: list[Event],
        now: int,
        protocol: Protocol,
        statement: Statement,
        text: str,
        parameters: Parameters | None = None,
        prepared_as: str | None = None,
        observed: tuple[Violation, ...] = (),
    ) -> Run:
        """As `execution`, for a statement that copies nothing, and whose result is not kept."""
        self.executions = number = self.executions + 1
        run = Run(number, now)
        run.execution = event = Execution(
            self._context, number, now, protocol, text, statement.kind, "allow", observed,
            parameters, prepared_as, (), None, statement.summary,
        )  # fmt: skip
        events.append(event)
        return run

    def refused(
        self,
        events: list[Event],
        now: int,
        protocol: Protocol,
        judgement: Judgement,
        violations: tuple[Violation, ...],
        executed: Sequence[ExecutedStatement] = (),
    ) -> list[Run]:
        """Records every statement of a message as refused, with its violations: all of a message run, or none."""
        if not judgement.statements:
            return [
                self.execution(
                    events, now, protocol, ExecutedStatement(judgement.text, None, None), violations=violations
                )
            ]
        each_as = executed or [ExecutedStatement(each.text, each.kind, each) for each in judgement.statements]
        return [
            self.execution(
                events, now, protocol, as_,
                violations=[v for v in violations if v.statement in (None, statement.index)]
                or [refused_sibling(violations[0], statement.index)],
            )
            for statement, as_ in zip(judgement.statements, each_as, strict=True)
        ]  # fmt: skip

    def outcome(
        self,
        run: Run,
        now: int,
        ended: Ended,
        error: Mapping[str, str] | None = None,
        *,
        command: str | None = None,
        sqlstate: str | None = None,
    ) -> Event:
        """`error`: the fields of the error that it ended with."""
        rows, first, started = run.rows, run.first_row, run.started
        if command is not None and (not rows or command.startswith("COPY ")):
            rows = _rows_of(command)
        self.rows += rows
        self.bytes += run.size
        self.received += run.received
        message = None
        if error is not None:
            sqlstate, message = error.get("C"), error.get("M")
        return Outcome(
            self._context, run.number, now, ended, command, rows, run.size, sqlstate,
            (now - started) // 1000 if now > started else 0,  # the clock may go back
            run.received, message,
            None if run.capture is None or run.capture.empty else run.capture,
            None if first is None or first == now else max(0, (first - started) // 1000),
        )  # fmt: skip

    def finish(self, request: InFlight, now: int, ended: Ended, sqlstate: str | None = None) -> list[Event]:
        """The same outcome for each run of `request` that has none yet."""
        left = [self.outcome(run, now, ended, sqlstate=sqlstate) for run in request.runs[request.at :]]
        request.at = len(request.runs)
        request.unread = False
        return left


def _rows_of(command: str) -> int:
    """The rows that a command tag counts (`INSERT 0 3`), if none were sent.

    COPY sends a header as if it was a row, and in binary format a trailer: its tag counts the rows alone.
    """
    last = command.rsplit(" ", 1)[-1]
    return int(last) if last.isascii() and last.isdigit() and len(last) < 20 else 0
