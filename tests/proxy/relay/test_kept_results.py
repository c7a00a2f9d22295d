"""No row that is to be kept is passed on before it is kept: rows are held until their result is whole, or cut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pgjit.audit.event import Outcome
from pgjit.audit.results.capture import ResultCapture
from pgjit.audit.results.result_files import ResultFiles
from pgjit.policy.pattern import Patterns
from pgjit.policy.policy import ResultCaps
from pgjit.policy.redaction import Redaction
from pgjit.proxy.relay.in_flight import InFlight, Run
from pgjit.proxy.relay.kept_results import KeptResults, capture_of
from pgjit.proxy.relay.named_values import ExecutedStatement
from pgjit.proxy.relay.send_queue import SendQueue
from pgjit.proxy.relay.server_step import ServerStep
from pgjit.sql.parse import read_message
from pgjit.sql.statement import RedactedText, Statement, StatementSummary
from pgwire.messages.results import encode_data_row
from pgwire.state import RequestKind
from tests.fakes.both_ends import CONTEXT

CAPS = ResultCaps(rows=2, bytes=1000)
ROW = encode_data_row((b"x",))
COLUMNS = Redaction(columns=Patterns.of(["a.b.c"], 2, 3))


class Sessions:
    """One execution under way, and what the client has."""

    def __init__(self, folder: Path) -> None:
        self.files = ResultFiles(folder, lambda: 0)
        self.queue = SendQueue()
        self.run = Run(1, 0)
        self.run.capture = ResultCapture("s/1", CAPS, None, None)
        self.queue.append(InFlight(RequestKind.QUERY, [self.run]), 0)
        self.failed = 0
        self.results = KeptResults(self.files, self.queue, self._fail)

    def _fail(self) -> None:
        self.failed += 1

    def rows(self, count: int) -> list[bytes]:
        assert self.run.capture is not None
        self.run.capture.add(ROW * count, count)
        return self.results.pass_on(ServerStep(data=[ROW * count]))

    def end(self) -> list[bytes]:
        outcome = Outcome(
            context=CONTEXT, number=1, at=0, ended="completed", command=None, rows=1, bytes=7, sqlstate=None,
            duration_us=1, result=self.run.capture,
        )  # fmt: skip
        self.queue.pop()
        return self.results.pass_on(ServerStep(data=[b"done"], events=[outcome]))


@pytest.fixture
def session(tmp_path: Path) -> Sessions:
    return Sessions(tmp_path)


def test_rows_are_held_until_their_result_is_whole(session: Sessions, tmp_path: Path) -> None:
    assert session.results.pass_on(ServerStep(data=[b"description"])) == [b"description"]
    assert session.rows(1) == []
    assert list(tmp_path.iterdir()) == []
    assert session.end() == [ROW, b"done"]
    assert (tmp_path / f"{0:020}.results").read_bytes() == b'{"execution":"s/1","columns":null,"rows":[["x"]]}\n'


def test_what_is_more_than_is_kept_is_not_held(session: Sessions, tmp_path: Path) -> None:
    assert session.rows(2) == []
    assert session.rows(1) == [ROW * 2, ROW]
    assert b'[["x"],["x"]]' in (tmp_path / f"{0:020}.results").read_bytes()
    assert session.rows(5) == [ROW * 5]
    assert session.end() == [b"done"]
    assert session.run.capture is not None
    assert session.run.capture.members()["truncated"] is True


def test_what_cannot_be_kept_is_not_passed_on(session: Sessions, tmp_path: Path) -> None:
    (tmp_path / f"{0:020}.results").mkdir()
    assert session.rows(1) == []
    assert session.end() == []
    assert session.failed == 1
    assert session.results.pass_on(ServerStep(data=[b"more"])) == []
    assert not session.results.writable
    assert session.run.capture is not None
    assert session.run.capture.members() == {"kept": False}


def _executed(summary: StatementSummary | None) -> ExecutedStatement:
    (statement,) = read_message("SELECT 1").statements
    given: Statement = replace(statement, summary=summary)
    return ExecutedStatement("SELECT 1", "select", given)


@pytest.mark.parametrize(
    ("executed", "shown"),
    [
        (_executed(StatementSummary(redacted=RedactedText("SELECT 1"))), "x"),
        (_executed(StatementSummary(redacted=RedactedText("SELECT 1", touches=True))), "[redacted]"),
        (_executed(None), "[redacted]"),
        (ExecutedStatement("selct", None, None), "[redacted]"),
        (replace(_executed(StatementSummary(redacted=RedactedText("SELECT 1"))), unresolved="why"), "[redacted]"),
    ],
    ids=["touches none", "touches one", "not judged", "not parsed", "in doubt"],
)
def test_a_result_is_redacted_unless_its_statement_certainly_uses_no_redacted_column(
    executed: ExecutedStatement, shown: str
) -> None:
    capture = capture_of(replace(CONTEXT, results=CAPS, redaction=COLUMNS), 1, executed)
    capture.add(ROW, 1)
    assert f'[["{shown}"]]'.encode() in capture.line()
    plain = capture_of(replace(CONTEXT, results=CAPS), 1, executed)
    plain.add(ROW, 1)
    assert b'[["x"]]' in plain.line()
