"""Time that a policy gives is over when the proxy's clock says so, whatever the server was told since."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pgjit.policy.policy import Limits
from pgjit.proxy.relay.statement_timeout import StatementTimeout
from pgwire.messages.extended import sync
from pgwire.messages.query import command_complete, ready_for_query
from tests.fakes.both_ends import NANOSECONDS, BothEnds, bind, execute, parse, query

SECOND = timedelta(seconds=1)
LIMITS = Limits(statement_time=10 * SECOND, idle_in_transaction=20 * SECOND)


def at(seconds: float) -> int:
    return NANOSECONDS + int(seconds * 1_000_000_000)


def begun(*raws: bytes) -> tuple[BothEnds, StatementTimeout]:
    ends = BothEnds()
    ends.client(*raws)
    return ends, StatementTimeout(LIMITS, ends.state)


@pytest.mark.parametrize("raws", [(query("select 1"),), (parse("select 1"), bind(), execute(), sync())])
def test_a_statement_that_runs_for_longer_is_to_be_cancelled_once_in_a_while(raws: tuple[bytes, ...]) -> None:
    ends, timeout = begun(*raws)
    if len(raws) > 1:
        ends.server(b"1\0\0\0\4", b"2\0\0\0\4")
    found = [timeout.check(at(seconds)) for seconds in (0, 10.4, 10.6, 11, 15.5, 15.7)]
    assert found == [None, None, "statement", None, None, "statement"]


def test_the_next_statement_of_a_message_has_time_of_its_own() -> None:
    ends, timeout = begun(query("select 1; select 2"))
    ends.server_side.from_server(command_complete("SELECT 1"), at(9))
    assert timeout.check(at(19.4)) is None
    assert timeout.check(at(19.6)) == "statement"


def test_what_waits_behind_another_has_its_time_from_when_that_one_was_answered() -> None:
    ends, timeout = begun(query("select 1"), query("select 2"))
    ends.server_side.from_server(command_complete("SELECT 1") + ready_for_query(b"I"), at(9))
    assert timeout.check(at(12)) is None
    assert timeout.check(at(19.6)) == "statement"


@pytest.mark.parametrize(("status", "found"), [(b"I", None), (b"T", "transaction"), (b"E", "transaction")])
def test_a_transaction_that_lies_idle_ends_the_session(status: bytes, found: str | None) -> None:
    ends, timeout = begun(query("begin"))
    ends.server_side.from_server(command_complete("BEGIN") + ready_for_query(status), at(0))
    assert timeout.check(at(20.4)) is None
    assert timeout.check(at(20.6)) == found
    ends.client(query("select 1"))
    assert timeout.check(at(5)) is None


def test_nothing_is_looked_at_where_a_policy_says_nothing() -> None:
    ends, _ = begun(query("select 1"))
    timeout = StatementTimeout(Limits(rows=5), ends.state)
    assert not timeout.needed
    assert timeout.check(at(100_000)) is None
