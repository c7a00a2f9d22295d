"""What runs when a statement does: an EXECUTE or a FETCH is the statement that its name stands for."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pgjit.audit.event import Execution
from pgjit.grants.usage import Usage
from pgjit.judging.judge import Judge
from pgjit.policy.policy import Limits, Preset
from pgjit.proxy.relay.budget import Budget
from pgjit.proxy.relay.executed_statement import Unresolvable, Unsettled, resolve_message
from pgjit.proxy.relay.named_values import ExecutedStatement
from pgjit.proxy.relay.prepared_statements import PreparedStatements
from pgjit.sql.encodings import key_of
from pgwire.messages.extended import sync
from pgwire.messages.query import command_complete, ready_for_query
from tests.fakes.both_ends import BothEnds, answer, bind, describe, error, execute, parse, query
from tests.fakes.policies import policy

READY, OPEN = ready_for_query(b"I"), ready_for_query(b"T")
LONG = "é" * 32
JUDGE = Judge(policy(preset=Preset.READ_WRITE), limit=10_000)


def resolved(
    sql: str, names: PreparedStatements | None = None, *, unrestricted: bool = False
) -> list[ExecutedStatement]:
    return resolve_message(
        JUDGE(sql.encode()), names or PreparedStatements(), lambda *_: False, unrestricted=unrestricted
    )


def refused(sql: str, names: PreparedStatements | None = None) -> str:
    with pytest.raises(Unresolvable) as found:
        resolved(sql, names)
    return found.value.violation.sqlstate


@pytest.mark.parametrize(
    ("sql", "kinds"),
    [
        ("PREPARE d AS INSERT INTO t VALUES (1); EXECUTE d", ["prepare", "insert"]),
        ("PREPARE d AS SELECT 1; EXPLAIN EXECUTE d", ["prepare", "explain"]),
        ("DECLARE c CURSOR FOR SELECT 1; FETCH c; MOVE 2 IN c", ["declare", "select", "select"]),
        ("PREPARE d AS SELECT 1; DEALLOCATE d; PREPARE d AS DELETE FROM t WHERE a = 1; EXECUTE d",
         ["prepare", "deallocate", "prepare", "delete"]),
    ],
)  # fmt: skip
def test_a_message_is_resolved_one_statement_after_the_other(sql: str, kinds: list[str]) -> None:
    assert [running.kind for running in resolved(sql)] == kinds


@pytest.mark.parametrize(
    ("sql", "sqlstate"),
    [
        ("EXECUTE d", "26000"),
        ("PREPARE d AS SELECT 1; DEALLOCATE ALL; EXECUTE d", "26000"),
        ("PREPARE d AS SELECT 1; DISCARD ALL; EXECUTE d", "26000"),
        ("DECLARE c CURSOR FOR SELECT 1; CLOSE ALL; FETCH c", "34000"),
        ("FETCH c", "34000"),
    ],
)
def test_what_the_message_itself_has_dropped_is_refused(sql: str, sqlstate: str) -> None:
    assert refused(sql) == sqlstate


@pytest.mark.parametrize("encoding", ["LATIN1", "EUC_JP", "SQL_ASCII", "WIN1252", ""])
@pytest.mark.parametrize("sql", ['PREPARE "{0}" AS SELECT 1', 'EXECUTE "{0}"', 'DEALLOCATE "{0}"', 'FETCH "{0}"'])
def test_a_name_that_the_server_may_cut_elsewhere_is_refused(sql: str, encoding: str) -> None:
    assert refused(sql.format(LONG), PreparedStatements(encoding)) == "42602"


@pytest.mark.parametrize(
    ("name", "encoding", "key"),
    [
        (LONG + "a", "UTF8", (LONG + "a").encode()[:63]),
        (LONG + "a", "LATIN1", (LONG + "a").encode()),
        ("é" * 70, "LATIN1", ("é" * 63).encode()),
        (LONG + "a", "SQL_ASCII", (LONG + "a").encode()[:63]),
        ("n" * 70, "EUC_JP", b"n" * 63),
        ("日" * 15, "EUC_JP", ("日" * 15).encode()),
        ("日" * 16, "EUC_JP", None),
        ("\u00a6", "EUC_JP", None),  # the server makes the same of U+FFE4
        ("é", "", None),
    ],
)
def test_a_name_of_the_protocol_is_cut_as_the_server_cuts_it(name: str, encoding: str, key: bytes | None) -> None:
    assert key_of(name.encode(), encoding) == key


@pytest.mark.parametrize("sent", [parse("SELECT 1", "日".encode() * 30), bind(b"", "日".encode() * 30)])
def test_a_name_of_the_protocol_that_nobody_knows_on_the_server_is_refused(sent: bytes) -> None:
    ends = BothEnds(encoding="EUC_JP")
    ends.client(parse("SELECT 1"), sync())
    ends.server(answer("1"), READY)
    assert sent not in ends.client(sent).data


def test_an_execute_waits_while_its_name_is_unsettled() -> None:
    ends = BothEnds()
    ends.client(parse("SELECT 1", b"x"), sync())
    ends.server(answer("1"), READY)
    plan = ends.client(query("SELECT broke; DEALLOCATE x; PREPARE x SELECT 2"), query("EXECUTE x"))
    assert [frame.raw for frame in plan.rest] == [query("EXECUTE x")]
    ends.server(error("42P01", "broke"), READY)
    ends.frames(plan.rest)
    assert ends.executions[-1][0] == "SELECT 1"


def test_what_a_name_in_another_segment_stands_for_is_not_known_yet() -> None:
    with pytest.raises(Unsettled):
        resolve_message(JUDGE(b"EXECUTE x"), PreparedStatements(), lambda *_: True, unrestricted=False)


def last(ends: BothEnds) -> Execution:
    return [event for event in ends.events if isinstance(event, Execution)][-1]


def started(frames: Sequence[bytes], answers: Sequence[bytes]) -> BothEnds:
    ends = BothEnds()
    ends.client(*frames)
    assert ends.server(*answers).fault is None
    return ends


def test_a_portal_is_what_it_began_to_run() -> None:
    ends = started(
        [
            query("BEGIN"),
            parse("SELECT 1", b"d"),
            parse("EXECUTE d", b"e"),
            bind(b"e", b"p"),
            execute(b"p", 1),
            sync(),
        ],
        [command_complete("BEGIN"), OPEN, answer("1"), answer("1"), answer("2"), answer("s"), OPEN],
    )
    ends.client(query("DEALLOCATE d"), parse("SELECT 2", b"d"), sync())
    ends.server(command_complete("DEALLOCATE"), OPEN, answer("1"), OPEN)
    ends.client(execute(b"p"), sync())
    assert (last(ends).statement, last(ends).through) == ("SELECT 1", ("EXECUTE d",))


def test_a_portal_that_did_not_begin_is_what_the_name_stands_for_then() -> None:
    """A FETCH behind what failed has not run; a savepoint keeps the portal."""
    ends = started(
        [query("BEGIN"), parse("SELECT 1", b"d"), parse("EXECUTE d", b"e"), bind(b"e", b"p"), sync()],
        [command_complete("BEGIN"), OPEN, answer("1"), answer("1"), answer("2"), OPEN],
    )
    ends.client(query("SELECT 1/0; FETCH p"))
    ends.server(error("22012", "division by zero"), ready_for_query(b"E"))
    ends.client(query("ROLLBACK TO s"))
    ends.server(command_complete("ROLLBACK"), OPEN)
    ends.client(query("DEALLOCATE d"), parse("SELECT 2", b"d"), sync())
    ends.server(command_complete("DEALLOCATE"), OPEN, answer("1"), OPEN)
    ends.client(execute(b"p"), sync())
    assert last(ends).statement == "SELECT 2"


def test_portals_end_with_their_transaction_but_those_with_hold() -> None:
    names = PreparedStatements()
    for each in resolved("DECLARE c CURSOR FOR SELECT 1; DECLARE h CURSOR WITH HOLD FOR SELECT 2"):
        names.confirm(each.changes)
    names.fall_back(())
    names.transaction_over()
    assert (names.portal(b"c"), names.portal(b"h") is not None) == (None, True)


def test_writes_by_a_name_come_alone_where_results_are_limited() -> None:
    ends = BothEnds(budget=Budget(Limits(rows=5), Usage()))
    ends.client(parse("INSERT x", b"d"), sync())
    ends.server(answer("1"), READY)
    ends.client(query("SELECT 1; EXECUTE d"))
    assert ends.executions == [("SELECT 1", "deny"), ("INSERT x", "deny")]


def test_what_is_executed_by_name_in_one_message_is_bounded_by_its_text_on_record() -> None:
    """A few bytes each would have a long statement recorded."""
    ends = BothEnds(unrestricted=True)
    ends.client(parse("SELECT 1 " + "x" * 90_000, b"d"), sync())
    ends.server(answer("1"), READY)
    ends.client(query("; ".join(["EXECUTE d"] * 13)))
    assert [event.decision for event in ends.events if isinstance(event, Execution)] == ["deny"] * 13
    assert max(len(event.statement) for event in ends.events if isinstance(event, Execution)) < 20


@pytest.mark.parametrize("unrestricted", [False, True])
@pytest.mark.parametrize(
    ("before", "kind", "name"),
    [
        ((parse("EXECUTE b", b"a"), parse("EXECUTE a", b"b")), "S", b"a"),
        ((parse("EXECUTE a", b"a"), bind(b"a", b"p")), "P", b"p"),
        ((parse("FETCH p", b"f"), bind(b"f", b"p")), "P", b"p"),
    ],
)
def test_what_executes_itself_is_not_described(
    before: tuple[bytes, ...], kind: str, name: bytes, unrestricted: bool
) -> None:
    """The server follows it until its stack is gone, and all its sessions with it."""
    ends = BothEnds(unrestricted=unrestricted)
    plan = ends.client(*before, describe(kind, name), sync())
    assert describe(kind, name) not in plan.data
    assert last(ends).violations[0].sqlstate == "54001"


@pytest.mark.parametrize("unrestricted", [False, True])
@pytest.mark.parametrize("control", ["BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT z", "ROLLBACK TO z", "RELEASE z"])
def test_no_transaction_is_begun_or_ended_by_execute(control: str, unrestricted: bool) -> None:
    """PostgreSQL prepares these by the protocol alone, and breaks where EXECUTE runs them."""
    ends = BothEnds(judge=JUDGE, unrestricted=unrestricted)
    ends.client(parse(control, b"c"), parse("EXECUTE c", b"around"), sync())
    ends.server(answer("1"), answer("1"), READY)
    for run in ("EXECUTE c", "SELECT 1; EXECUTE c", "EXECUTE around"):
        assert query(run) not in ends.client(query(run)).data
        assert last(ends).decision == "deny"
        assert "0A000" in {found.sqlstate for found in last(ends).violations}
    assert query(control) in ends.client(query(control)).data
