"""Every record that pgjit writes has the published shape. The tests in `tests/e2e` check theirs as they read them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pgjit.audit.event import (
    BackendGone,
    BackendRemains,
    BalancerConnection,
    Event,
    LoginRefused,
    SessionEnded,
    SessionOpened,
)
from pgjit.audit.record import render
from pgjit.grants.server_process import ServerInstance
from tests.audit.audit_events import AT, EVENTS, GONE, INSTANCE, PROCESS
from tests.audit.review_events import REVIEW_EVENTS
from tests.audit.schema_check import assert_valid, types_in_schema

ALL = {**EVENTS, **REVIEW_EVENTS}


@pytest.mark.parametrize("kind", ALL)
def test_every_event_is_written_as_the_schema_has_it(kind: str) -> None:
    assert_valid(json.loads(render(ALL[kind], 1)))


@pytest.mark.parametrize("kind", ["session.opened", "session.ended", "backend.remains", "backend.gone"])
@pytest.mark.parametrize(
    "instance",
    [
        replace(INSTANCE, timeline=None, standby=True),
        replace(INSTANCE, endpoint=None),  # over a Unix socket
        ServerInstance(system=None, started=AT),  # the login may read neither system nor timeline
    ],
    ids=["standby", "socket", "hidden"],
)
def test_what_a_server_does_not_say_of_itself_is_null(kind: str, instance: ServerInstance) -> None:
    assert_valid(json.loads(render(_on(EVENTS[kind], instance), 1)))


@pytest.mark.parametrize(
    ("balancer", "member"),
    [
        (BalancerConnection("10.0.0.5:4711"), {}),
        (
            BalancerConnection("10.0.0.5:4711", b"\0\xff", 2**32 - 1, "vpce-1"),
            {"unique_id": "00ff", "link_id": 2**32 - 1, "vpc_endpoint": "vpce-1"},
        ),
    ],
)
@pytest.mark.parametrize("kind", ["session.opened", "login.refused"])
def test_the_balancer_that_named_a_client_is_recorded_with_what_it_sent(
    kind: str, balancer: BalancerConnection, member: dict[str, object]
) -> None:
    event = EVENTS[kind]
    assert isinstance(event, SessionOpened | LoginRefused)
    record = json.loads(render(replace(event, balancer=balancer), 1))
    assert_valid(record)
    assert record["balancer"] == {"source": "10.0.0.5:4711", **member}
    assert "balancer" not in json.loads(render(event, 1))


@pytest.mark.parametrize("kind", ["session.ended", "backend.remains"])
def test_a_proof_may_have_the_answer_of_no_server(kind: str) -> None:
    event = EVENTS[kind]
    assert isinstance(event, SessionEnded | BackendRemains)
    proof = replace(GONE, gone=False, by=None, server=None, error="connection refused")
    assert_valid(json.loads(render(replace(event, proof=proof), 1)))


def _on(event: Event, instance: ServerInstance) -> Event:
    """The event, where this is the server that it is about."""
    process, proof = replace(PROCESS, instance=instance), replace(GONE, server=instance)
    match event:
        case SessionOpened():
            return replace(event, process=process)
        case SessionEnded():
            return replace(event, proof=proof)
        case BackendRemains() | BackendGone():
            return replace(event, process=process, proof=proof)
    raise TypeError(f"{type(event).__name__} is about no server")


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
