"""The records of executions and outcomes are those that a plain renderer makes, byte for byte."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pgjit.audit.event import Execution, Outcome, Parameters
from pgjit.audit.parameters import bound
from pgjit.audit.record import render
from pgjit.sql.statement import StatementSummary
from tests.audit.audit_events import CONTEXT
from tests.audit.plain_record import plain_record

TEXTS = st.text(max_size=12) | st.sampled_from(["SELECT 1", "\u00e9\u202e\x7f\x00", 'a"b\\', "\ud800"])
NAMES = st.none() | TEXTS
TIMES = st.integers(0, 4_000_000_000_000_000_000)
COUNTS = st.integers(0, 2**40)
LISTS = st.lists(TEXTS, max_size=2).map(tuple)
WRITTEN = TEXTS.map(lambda text: text.encode("utf-8", "replace"))
VALUES = st.lists(st.none() | st.binary(max_size=6) | WRITTEN, max_size=4)


@st.composite
def parameters(draw: st.DrawFn) -> Parameters | None:
    values = tuple(draw(VALUES))
    formats = draw(st.sampled_from([(), (0,), (1,), tuple(index % 2 for index in range(len(values)))]))
    types = tuple(draw(st.sampled_from([0, 16, 23, 25, 1043, 99999])) for _ in values)
    return bound(values, formats, types)


SUMMARIES = st.builds(
    StatementSummary, fingerprint=NAMES, normalised=NAMES, reads=LISTS, writes=LISTS, calls=LISTS,
    of_catalog=st.booleans(),
)  # fmt: skip
EXECUTIONS = st.builds(
    Execution, context=st.just(CONTEXT), number=COUNTS, at=TIMES, protocol=st.sampled_from(["simple", "extended"]),
    statement=TEXTS, kind=NAMES, decision=st.just("allow"), parameters=parameters(), prepared_as=NAMES, through=LISTS,
    unresolved=NAMES, summary=st.none() | SUMMARIES,
)  # fmt: skip
OUTCOMES = st.builds(
    Outcome, context=st.just(CONTEXT), number=COUNTS, at=TIMES, ended=st.sampled_from(["completed", "failed"]),
    command=NAMES, rows=COUNTS, bytes=COUNTS, sqlstate=NAMES, duration_us=COUNTS, received=COUNTS, message=NAMES,
    first_row_us=st.none() | COUNTS,
)  # fmt: skip


@given(st.one_of(EXECUTIONS, OUTCOMES), st.integers(1, 2**60))
def test_a_record_is_what_a_plain_renderer_makes(event: Execution | Outcome, seq: int) -> None:
    plain = plain_record(event, seq)
    assert render(event, seq) == plain
    assert render(event, seq) == plain, "as well with what was rendered before"


@given(EXECUTIONS, st.sampled_from(["simple", "extended"]), NAMES)
def test_what_was_rendered_for_one_execution_of_a_judgement_fits_the_next(
    event: Execution, protocol: str, name: str | None
) -> None:
    render(event, 1)
    other = replace(event, protocol=protocol, prepared_as=name, kind=name)  # type: ignore[arg-type]
    assert render(other, 2) == plain_record(other, 2)
