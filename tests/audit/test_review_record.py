from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pgjit.audit.record import render
from pgjit.audit.review_event import RequestMade, ReviewEvent
from pgjit.grants.holder import Holder
from pgjit.identity.identity import IdentityKind
from tests.audit.review_events import AT, REQUEST, REVIEW_EVENTS

WHO = {"tid": "t_1", "oid": "o_1"}
CAROL = {"tid": "t_1", "oid": "o_2", "display": "Carol", "via": "api"}


@pytest.mark.parametrize("kind", REVIEW_EVENTS)
def test_every_record_has_its_name_and_its_number(kind: str) -> None:
    record = json.loads(render(REVIEW_EVENTS[kind], 7))
    assert (record["seq"], record["type"]) == (7, kind)
    assert record.get("entry") == REVIEW_EVENTS[kind].entry


def test_a_verdict_names_the_reviewer_and_exactly_what_was_approved() -> None:
    record = json.loads(render(REVIEW_EVENTS["request.verdict"], 1))
    assert record["identity"] == {**WHO, "kind": "app", "display": "an agent"}
    assert (record["by"], record["verdict"], record["cap_seconds"]) == (CAROL, "approved", 1800)
    assert len(record["digest"]) == 64


def test_a_request_names_the_agent_that_made_it_for_a_person() -> None:
    holder = Holder(kind=IdentityKind.USER, app_id="an-agent", on_behalf_of="o_1")
    made = replace(REQUEST, kind=IdentityKind.USER, ask=replace(REQUEST.ask, holder=holder))
    record = json.loads(render(RequestMade(at=AT, entry=1, request=made), 1))
    agent = {"app_id": "an-agent", "blueprint_id": None, "on_behalf_of": "o_1"}
    assert record["identity"] == {**WHO, "kind": "user", "display": "an agent", **agent}


def test_a_used_request_shows_all_its_verdicts_and_its_window() -> None:
    record = json.loads(render(REVIEW_EVENTS["request.ended"], 1))
    assert (record["state"], record["window"]) == ("used", {"id": "w_1"})
    assert [each["by"] for each in record["verdicts"]] == [CAROL]


def test_a_revocation_says_who_and_why() -> None:
    record = json.loads(render(REVIEW_EVENTS["window.revoked"], 1))
    assert (record["identity"], record["by"], record["reason"]) == (WHO, CAROL, "it reads too much")


def test_a_window_of_a_dead_node_is_recorded_with_that_node() -> None:
    record = json.loads(render(REVIEW_EVENTS["window.adopted"], 1))
    assert (record["identity"], record["node"], record["window"]["id"]) == (WHO, "two", "w_1")


def test_an_event_without_a_record_is_a_fault_of_the_program() -> None:
    with pytest.raises(TypeError):
        render(ReviewEvent(at=AT), 1)
