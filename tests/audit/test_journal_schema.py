"""Every record that pgjit writes has the published shape. The tests in `tests/e2e` check theirs as they read them."""

from __future__ import annotations

import json

import pytest

from pgjit.audit.record import render
from tests.audit.audit_events import EVENTS
from tests.audit.review_events import REVIEW_EVENTS
from tests.audit.schema_check import assert_valid, types_in_schema

ALL = {**EVENTS, **REVIEW_EVENTS}


@pytest.mark.parametrize("kind", ALL)
def test_every_event_is_written_as_the_schema_has_it(kind: str) -> None:
    assert_valid(json.loads(render(ALL[kind], 1)))


def test_the_schema_has_exactly_the_types_that_there_are() -> None:
    assert types_in_schema() == set(ALL)


@pytest.mark.parametrize(
    "change",
    [{"more": 1}, {"v": 2}, {"seq": 0}, {"time": "2026-11-24 09:30:00"}, {"decision": "perhaps"}, {"kind": None}],
)
def test_the_schema_finds_what_is_not_a_record(change: dict[str, object]) -> None:
    with pytest.raises(AssertionError):
        assert_valid({**json.loads(render(EVENTS["execution"], 1)), **change})


def test_a_type_that_nobody_published_is_found() -> None:
    with pytest.raises(AssertionError, match="no records of type"):
        assert_valid({"type": "journal.unheard"})
