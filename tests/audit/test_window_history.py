"""What the records of windows say, and which of them a store has lost."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from pgjit.audit.event import Event, WindowEnded, WindowOpened
from pgjit.audit.record import render
from pgjit.audit.window_history import LostWindow, lost_windows, usages_of, windows_of
from pgjit.grants.usage import Usage
from pgjit.grants.window import Window
from tests.audit.audit_events import AT, IDENTITY, WINDOW

HOUR = timedelta(hours=1)
WINDOW_FROM_THERE = replace(WINDOW, source="10.0.0.7", display=IDENTITY.display)


def _opened(window: Window = WINDOW) -> Event:
    return WindowOpened(
        identity=IDENTITY,
        policy=window.policy,
        policy_version="abc",
        window=window,
        at=window.opened_at,
        source="10.0.0.7:51000",
    )


def _records(*events: Event) -> list[dict[str, object]]:
    """As they are read back: the last one first."""
    return [json.loads(render(event, seq)) for seq, event in enumerate(events, 1)][::-1]


def test_a_window_reads_back_as_it_was_opened() -> None:
    [found] = windows_of(_records(_opened()))
    assert (found.window, found.ended) == (WINDOW_FROM_THERE, False)


def test_an_end_on_record_is_the_windows_end() -> None:
    early = AT + timedelta(minutes=3)
    [found] = windows_of(_records(_opened(), WindowEnded(window=WINDOW, at=early, reason="revoked", sessions=0)))
    assert (found.window.ended_at, found.window.end_reason, found.ended) == (early, "revoked", True)


def test_an_end_that_was_carried_out_late_is_no_later_than_granted() -> None:
    late = WINDOW.ends_at + timedelta(seconds=4)
    [found] = windows_of(_records(_opened(), WindowEnded(window=WINDOW, at=late, reason="ttl", sessions=0)))
    assert found.window.ended_at == WINDOW.ends_at


def test_a_record_of_an_earlier_version_has_no_time_of_the_next_window() -> None:
    [record] = _records(_opened())
    del record["window"]["retry_at"]  # type: ignore[attr-defined]
    [found] = windows_of([record])
    assert found.window.retry_at == found.window.ends_at


@pytest.mark.parametrize(
    ("now", "ended_at", "reason"),
    [
        (AT + timedelta(minutes=1), AT + timedelta(minutes=1), "store-lost"),  # it was open
        (AT + timedelta(minutes=90), AT + HOUR, "ttl"),  # it was over, and nobody had written that down
    ],
)
def test_a_lost_window_is_ended_and_that_goes_on_record(now: object, ended_at: object, reason: str) -> None:
    lost = lost_windows(windows_of(_records(_opened())), {}, now)  # type: ignore[arg-type]
    assert lost == [LostWindow(replace(WINDOW_FROM_THERE, ended_at=ended_at, end_reason=reason), end_due=True)]  # type: ignore[arg-type]


def test_a_lost_window_whose_end_is_on_record_gets_no_second_one() -> None:
    records = _records(_opened(), WindowEnded(window=WINDOW, at=AT + HOUR, reason="ttl", sessions=1))
    [lost] = lost_windows(windows_of(records), {}, AT + timedelta(minutes=61))
    assert not lost.end_due


@pytest.mark.parametrize(
    ("kept", "now"), [({"w_1": WINDOW}, AT), ({}, AT + 2 * HOUR)], ids=["in the store", "cooldown is over"]
)
def test_a_window_is_not_lost(kept: dict[str, Window], now: object) -> None:
    assert lost_windows(windows_of(_records(_opened())), kept, now) == []  # type: ignore[arg-type]


def test_what_windows_were_used_for_is_counted_from_outcomes() -> None:
    outcomes = [
        {"window": each, "ended": ended, "rows": 3, "bytes": 50}
        for each, ended in [("w_1", "completed"), ("w_1", "cut"), ("w_1", "skipped"), ("w_2", "completed")]
    ]
    assert usages_of(outcomes, {"w_1", "w_3"}) == {"w_1": Usage(6, 100, 2), "w_3": Usage()}
