"""A failure and its end are a line each; a dependency that changes all the time does not fill the log."""

from __future__ import annotations

import logging

import pytest

from pgjit.telemetry.dependency import ExternalDependency


class Seconds:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_one_line_when_it_fails_and_one_when_it_works_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    seconds = Seconds()
    server = ExternalDependency("server", "prod-replica", monotonic=seconds)
    server.works()
    for _ in range(100):
        server.failed("connecting: refused")
    states = [(server.up, server.fault)]
    seconds.now = 12.5
    server.works()
    server.works()
    states.append((server.up, server.fault))
    assert states == [(False, "connecting: refused"), (True, None)]
    assert server.failures == 100
    assert [record.getMessage() for record in caplog.records] == [
        "server prod-replica fails: connecting: refused",
        "server prod-replica works again after 12.5 s and 100 failures",
    ]


def test_changes_without_a_line_are_counted_in_the_next(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    seconds = Seconds()
    server = ExternalDependency("server", "prod-replica", monotonic=seconds)
    for _ in range(500):
        server.failed("no")
        server.works()
    assert len(caplog.records) == 6
    seconds.now = 3600
    server.failed("no")
    assert caplog.records[-1].getMessage() == (
        "server prod-replica fails: no (994 changes before this one have no line)"
    )
