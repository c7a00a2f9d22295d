"""What a name stands for at each moment: confirmed, and expected."""

from __future__ import annotations

import pytest

from pgjit.audit.event import Parameters
from pgjit.proxy.relay.in_flight import InFlight
from pgjit.proxy.relay.named_values import Change, Portal, Prepared, changes_of
from pgjit.proxy.relay.prepared_statements import MOST, PreparedStatements
from pgjit.proxy.relay.transitions import RequestEvent
from pgjit.sql.statement import NameEffect, Statement
from pgwire.state import RequestKind

ONE, TWO = Prepared("SELECT 1", None), Prepared("SELECT 2", None)
CURSOR = Portal(ONE, None, b"p")
SENT = InFlight(RequestKind.SYNC)


def statement(effect: NameEffect | None) -> Statement:
    return Statement(index=0, kind="x", text="X", position=0, effect=effect)


def test_what_is_expected_is_known_at_once_and_gone_after_an_error() -> None:
    names = PreparedStatements()
    names.expect([Change("statement", b"p", ONE), Change("portal", b"c", CURSOR)], SENT)
    assert (names.statement(b"p"), names.portal(b"c")) == (ONE, CURSOR)
    names.fall_back([])
    assert (names.statement(b"p"), names.portal(b"c")) == (None, None)


def test_what_was_confirmed_survives_an_error_and_what_was_sent_later_is_still_expected() -> None:
    names = PreparedStatements()
    names.confirm([Change("statement", b"p", ONE)])
    names.expect([Change("statement", b"p")], SENT)
    names.fall_back([Change("statement", b"q", TWO)])
    assert (names.statement(b"p"), names.statement(b"q")) == (ONE, TWO)
    names.fall_back([])
    assert (names.statement(b"p"), names.statement(b"q")) == (ONE, None)


def test_statements_and_portals_are_spaces_of_their_own() -> None:
    names = PreparedStatements()
    names.expect([Change("statement", b"x", ONE), Change("portal", b"x", CURSOR), Change("portal", b"x")], SENT)
    assert (names.statement(b"x"), names.portal(b"x")) == (ONE, None)
    names.expect([Change("portal", b"x", CURSOR), Change("statement", None)], SENT)
    assert (names.statement(b"x"), names.portal(b"x")) == (None, CURSOR)
    names.expect([Change("portal", None)], SENT)
    assert names.portal(b"x") is None


def test_dropping_a_name_that_is_not_there_is_nothing() -> None:
    names = PreparedStatements()
    names.expect([Change("statement", b"x"), Change("portal", b"x")], SENT)
    assert names.statement(b"x") is None


def test_names_that_differ_after_63_bytes_are_one_name() -> None:
    names, long = PreparedStatements(), b"n" * 63
    names.expect([Change("statement", long + b"a", ONE), Change("portal", long + b"a", CURSOR)], SENT)
    assert (names.statement(long), names.portal(long + b"b")) == (ONE, CURSOR)
    assert names.statement(long[:62]) is None
    names.expect([Change("statement", long + b"c"), Change("portal", long)], SENT)
    assert (names.statement(long + b"a"), names.portal(long + b"a")) == (None, None)


@pytest.mark.parametrize(
    ("effect", "expected"),
    [
        (None, ()),
        (NameEffect("execute", "p"), ()),
        (NameEffect("fetch", "c"), ()),
        (NameEffect("deallocate", "p"), (Change("statement", b"p"),)),
        (NameEffect("deallocate", None), (Change("statement", None),)),
        (NameEffect("close", "c"), (Change("portal", b"c"),)),
        (NameEffect("close", None), (Change("portal", None),)),
        (NameEffect("discard", None), (Change("statement", None), Change("portal", None))),
    ],
)
def test_what_a_statement_of_sql_does_to_the_names(effect: NameEffect | None, expected: tuple[Change, ...]) -> None:
    assert expected == changes_of(statement(effect))


def test_prepare_and_declare_give_a_name_to_the_statement_they_are_in() -> None:
    prepare, declare = statement(NameEffect("prepare", "pé")), statement(NameEffect("declare", "c"))
    values = Parameters(values=(b"1",), formats=(0,))
    inner = statement(None)  # running what was prepared or declared changes no name: that was done once
    assert changes_of(prepare) == (Change("statement", "pé".encode(), Prepared("X", inner)),)
    assert changes_of(declare, values) == (Change("portal", b"c", Portal(Prepared("X", inner), values, b"")),)


def test_a_name_is_unsettled_while_a_change_of_another_segment_is_under_way() -> None:
    names = PreparedStatements()
    earlier, same = InFlight(RequestKind.PARSE, segment=1), InFlight(RequestKind.PARSE, segment=2)
    names.expect([Change("statement", b"u", ONE)], earlier)
    assert names.unsettled("statement", b"u", 1) is None
    assert names.unsettled("statement", b"u", 2) is earlier
    assert names.unsettled("portal", b"u", 2) is None
    assert names.unsettled("statement", b"v", 2) is None
    names.expect([Change("statement", b"u", TWO)], same)
    assert names.unsettled("statement", b"u", 2) is None
    assert names.unsettled("statement", b"u", 3) is same
    same.move(RequestEvent.LAST_ANSWER)
    assert names.unsettled("statement", b"u", 3) is None


def test_dropping_all_names_unsettles_each_until_it_is_made_again() -> None:
    names = PreparedStatements()
    dropping = InFlight(RequestKind.QUERY, segment=1)
    names.expect([Change("statement", None)], dropping)
    assert names.unsettled("statement", b"u", 2) is dropping
    names.expect([Change("statement", b"u", ONE)], InFlight(RequestKind.PARSE, segment=2))
    assert names.unsettled("statement", b"u", 2) is None


def test_a_session_has_room_for_so_many_names_and_no_more() -> None:
    names = PreparedStatements()
    names.expect([Change("statement", b"%d" % number, ONE) for number in range(MOST - 1)], SENT)
    assert [names.full] == [False]
    names.expect([Change("portal", b"last", CURSOR)], SENT)
    assert [names.full] == [True]
    names.expect([Change("portal", b"last")], SENT)
    assert [names.full] == [False]
