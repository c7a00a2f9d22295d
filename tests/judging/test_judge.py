"""Text to judgement: text that cannot be judged is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgjit.judging import judge as judging
from pgjit.judging.judge import Judge, assess
from pgjit.policy.policy import Mode
from pgjit.sql.catalog import Column, Relation
from tests.fakes.policies import policy
from tests.fixtures.terms import terms
from tests.sql.snapshots import stored_catalog

POLICY = policy()


def refusal(sql: bytes, limit: int = 10_000) -> tuple[str, str]:
    """(rule, SQLSTATE) of the client's error."""
    first = assess(POLICY, sql, limit).violations[0]
    return first.rule, first.sqlstate


def test_an_allowed_statement_has_no_violation() -> None:
    judgement = assess(POLICY, b"SELECT 1; SELECT 2", 100)
    assert judgement.allowed
    assert [one.text for one in judgement.statements] == ["SELECT 1", "SELECT 2"]
    assert judgement.pgjit_setting is None


def test_a_refused_message_keeps_its_statements_for_the_record() -> None:
    judgement = assess(POLICY, b"SELECT 1; DELETE FROM orders", 100)
    assert not judgement.allowed
    assert [one.kind for one in judgement.statements] == ["select", "delete"]
    assert {one.statement for one in judgement.violations} == {1}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (b"SELECT '" + b"x" * 10_000 + b"'", ("statement-too-large", "54000")),
        (b"SELECT '\xff'", ("invalid-encoding", "22021")),
        (b"SELECT '\xc0\x80'", ("invalid-encoding", "22021")),
        (b"SELECT '\xed\xa0\x80'", ("invalid-encoding", "22021")),
        (b"SELECT 1\0", ("invalid-encoding", "22021")),
        (b"SELEKT 1", ("syntax-error", "42601")),
        (b"SELECT " + b"(" * 9000, ("syntax-error", "42601")),
        (b"SHOW pgjit.window; SELECT 1 FROM", ("syntax-error", "42601")),
    ],
    ids=["too large", "not UTF-8", "overlong", "surrogate", "zero byte", "no statement", "unclosed", "show and more"],
)
def test_text_that_cannot_be_judged_is_refused(sql: bytes, expected: tuple[str, str]) -> None:
    assert expected == refusal(sql)


def test_the_limit_is_the_last_size_that_is_judged() -> None:
    assert assess(POLICY, b"SELECT 1", 8).allowed
    assert not assess(POLICY, b"SELECT 1 ", 8).allowed


def test_a_text_that_is_too_large_is_there_for_its_record() -> None:
    assert assess(POLICY, b"x" * 100_000, 50_000).text == "x" * 100_000


@pytest.mark.parametrize("step", ["read_message", "evaluate"])
@pytest.mark.parametrize("fault", [ValueError, RecursionError, MemoryError, KeyError])
def test_a_fault_of_our_own_refuses(step: str, fault: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise fault("for nobody to see")

    monkeypatch.setattr(judging, step, fail)
    judgement = assess(POLICY, b"SELECT 1", 100)
    assert [one.rule for one in judgement.violations] == ["unjudgeable"]
    assert "for nobody to see" not in (judgement.violations[0].detail or "")
    assert len(judgement.statements) == (step == "evaluate")


@pytest.mark.parametrize(
    ("sql", "about"),
    [
        (b"SHOW pgjit.window", "window"),
        (b" show\n PGJIT . Remaining ; \n", "remaining"),
        (b"SHOW pgjit.nothing", "nothing"),
        (b"SHOW pgjit.window; SELECT 1", None),
        (b"SHOW pgjit.window.x", None),
        (b"SHOW pgjitx.window", None),
    ],
)
def test_show_pgjit_is_recognized_and_no_other_text(sql: bytes, about: str | None) -> None:
    assert about == assess(POLICY, sql, 100).pgjit_setting


def test_answers_are_remembered_by_the_exact_bytes() -> None:
    judge = Judge(POLICY, limit=100)
    first = judge(b"SELECT 1")
    assert judge(b"SELECT 1") is first
    assert judge(b"SELECT 2") is not first
    assert judge(b"SELECT 1 ").text == "SELECT 1 "


def test_the_least_recently_used_judgement_is_evicted_first() -> None:
    judge = Judge(POLICY, limit=100, cache_size=2)
    one, two = judge(b"SELECT 1"), judge(b"SELECT 2")
    assert judge(b"SELECT 1") is one
    judge(b"SELECT 3")
    assert judge(b"SELECT 1") is one
    assert judge(b"SELECT 2") is not two


def test_large_texts_are_judged_and_not_remembered() -> None:
    judge = Judge(POLICY, limit=1_000_000)
    sql = b"SELECT '" + b"x" * 16_384 + b"'"
    first = judge(sql)
    assert first.allowed
    assert judge(sql) is not first


@given(st.binary(max_size=60) | st.text(alphabet="SELECT();'$-/* \0é", max_size=60).map(str.encode))
def test_judging_never_raises(sql: bytes) -> None:
    judgement = assess(POLICY, sql, 50)
    assert judgement.allowed is (judgement.violations == ())


STORED = stored_catalog()
WIDE = replace(
    STORED,
    relations={
        **STORED.relations,
        "public": {
            **STORED.relations["public"],
            "wide": Relation("r", tuple(Column(f"c{number}", "integer") for number in range(1500))),
            "narrow": Relation("r", (Column("a", "integer"), Column("b", "text"))),
        },
    },
)


@pytest.mark.parametrize(
    ("sql", "here"),
    [
        ("SELECT 1", True),
        ("SELECT a, b FROM narrow WHERE a = 1 ORDER BY b LIMIT 10", True),
        ("SELECT '" + "x" * 3_000 + "'", True),  # one token
        ("SELECT '" + "x" * 5_000 + "'", False),
        ("SELECT 1" + " + 1" * 100, False),
        ("SELECT 1;" * 30, False),
        ("SELECT " + "(" * 30 + "1" + ")" * 30, True),
        ("SELECT * FROM wide", False),  # few words, and a long way through the catalog
        ("SELECT c1 FROM wide", False),
        ("SELECT '" + "x" * 200_000 + "'", True),  # over the limit: its size decides
        ("'", True),
    ],
)
@pytest.mark.parametrize("mode", list(Mode))
def test_text_that_may_take_long_is_not_judged_on_the_event_loop(sql: str, here: bool, mode: Mode) -> None:
    judge = Judge(replace(POLICY, mode=mode), limit=100_000, catalog=WIDE)
    judgement = judge.judge_inline(sql.encode())
    assert (judgement is not None) is here
    if judgement is not None:
        assert judgement == judge(sql.encode())


def test_a_judgement_of_a_worker_is_cached() -> None:
    judge = Judge(POLICY, limit=100_000, catalog=WIDE)
    sql = b"SELECT * FROM wide"
    assert judge.judge_inline(sql) is None
    answer = judge.cache(sql, assess(POLICY, sql, 100_000, WIDE))
    assert judge.judge_inline(sql) is answer


@pytest.mark.parametrize(
    "sql", [b"SELECT * FROM payments; DELETE FROM orders", b"DELETE FROM orders; SELECT * FROM payments"]
)
def test_under_observe_the_first_violation_is_one_that_refuses(sql: bytes) -> None:
    """A rule that is switched on only observes here, whichever statement it is about; the preset refuses."""
    narrowed = terms(access="read-only", rules={"limit-required": True})
    observing = replace(POLICY, mode=Mode.OBSERVE, statements=narrowed)
    refusing = assess(POLICY, sql, 10_000).violations
    judgement = assess(observing, sql, 10_000)
    assert judgement.violations[: len(refusing)] == refusing
    assert len(judgement.violations) > len(refusing), "the others are on record as well"
    assert not judgement.observed
