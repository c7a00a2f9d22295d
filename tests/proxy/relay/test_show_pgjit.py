"""What a session can ask about itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pglast import parse_sql

from pgjit.audit.event import Execution
from pgjit.grants.actor import Actor
from pgjit.grants.request import Ask, Request, RequestState, Verdict
from pgjit.grants.usage import Usage
from pgjit.identity.identity import GroupId, IdentityKey, IdentityKind
from pgjit.policy.grant_terms import GrantTerms, ReviewTerms
from pgjit.policy.policy import Limits, Policy
from pgjit.proxy.relay.budget import Budget
from pgjit.proxy.relay.show_pgjit import ABOUT, SessionFacts, answer
from tests.fakes.both_ends import CONTEXT, NOW, BothEnds, bind, execute, parse, query
from tests.fakes.both_ends import answer as answered
from tests.fixtures.terms import policy_of, terms

END = NOW + timedelta(minutes=30)
LIMITS = Limits(rows=100, window_rows=50, window_statements=5, sessions=2, statement_time=timedelta(seconds=10))
REVIEW = ReviewTerms(groups=(GroupId("g1"),), group_names=("DBA's on call",), roles=("owner",), approvals=2)
RITA = Actor(key=IdentityKey("t", "o"), display="Rita Prüfer", via="api")
REQUEST = Request(
    id="r_1",
    ask=Ask(
        identity=CONTEXT.identity.key, connection="shop", policy="p", policy_version="v", ttl=timedelta(minutes=20),
        reason="it's\0a \\ diff'); DROP TABLE a; --\n", ticket="OPS-1",
    ),
    kind=IdentityKind.AGENT, display="checks", source=None, own=frozenset(), review=REVIEW,
    open_within=timedelta(minutes=15), cooldown=timedelta(hours=1), created_at=NOW, lapses_at=END,
    state=RequestState.USED, verdicts=(Verdict(by=RITA, verdict="approved", at=NOW, ttl=timedelta(minutes=5)),),
)  # fmt: skip


def facts(policy: Policy | None = None, usage: Usage | None = None, request: Request | None = None) -> SessionFacts:
    policy = policy or policy_of()
    budget = Budget(policy.limits, usage or Usage())
    return SessionFacts(
        context=CONTEXT, ends_at=END, policy=policy, budget=budget, request=request, sessions=lambda: (1, 3, 20)
    )


def rows(name: str, of: SessionFacts) -> list[tuple[str, ...]]:
    """The rows as the server reads them: the statement is one SELECT of constants."""
    [statement] = parse_sql(answer(name, of, NOW) or "")
    select: Any = statement.stmt
    lists = select.fromClause[0].subquery.valuesLists
    return [tuple(cast.arg.val.sval for cast in row) for row in lists]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("window", "w_1: 2026-11-24 09:00:00 UTC to 2026-11-24 09:30:00 UTC"),
        ("policy", "tested (version 000000000000)"),
        ("identity", "11111111-1111-4111-8111-111111111111/aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"),
        ("remaining", "0:29:30"),
    ],
)
def test_the_answer_is_a_constant_under_the_name_that_was_asked(name: str, text: str) -> None:
    found = answer(name, facts(), NOW + timedelta(seconds=30))
    assert found == f"SELECT '{text}'::pg_catalog.text AS \"pgjit.{name}\""


def test_every_name_that_is_offered_has_an_answer_and_no_other_has() -> None:
    assert None not in [answer(name, facts(), NOW) for name in ABOUT]
    assert answer("token", facts(), NOW) is None


def test_nothing_remains_after_the_end() -> None:
    assert "'0:00:00'" in (answer("remaining", facts(), END + timedelta(hours=1)) or "")


def test_each_limit_is_shown_with_what_is_left() -> None:
    policy = replace(policy_of(), limits=LIMITS)
    assert rows("limits", facts(policy, Usage(rows=20, statements=7))) == [
        ("ttl", "1h", "0:30:00"),
        ("rows", "100", "each statement"),
        ("window_rows", "50", "30"),
        ("window_statements", "5", "0"),
        ("sessions", "2", "1"),
        ("statement_time", "10s", "each statement"),
        ("sessions of your identity", "20", "17"),
    ]


def test_what_is_allowed_and_denied_fits_a_terminal() -> None:
    names = [f"sales.a_table_with_a_long_name_{n}" for n in range(5)]
    section = terms(allow=[{"relations": names}], deny=[{"columns": ["customers.email"]}])
    found = rows("allowed", facts(replace(policy_of(), statements=section)))
    assert ("columns denied", "customers.email") in found
    assert found[0][0] == "statements"
    assert "select" in found[0][1]
    assert max(len(text) for _, text in found) <= 58
    assert all(any(name in text for _, text in found) for name in names)


def test_the_request_shows_who_may_approve_and_each_verdict() -> None:
    assert rows("request", facts(request=REQUEST)) == [
        ("request", "r_1"),
        ("state", "used"),
        ("asked", "20m at 2026-11-24 09:00:00 UTC"),
        ("reason", "it's a \\ diff'); DROP TABLE a; --"),
        ("ticket", "OPS-1"),
        ("who may approve", "DBA's on call, role owner"),
        ("approvals needed", "2"),
        ("approved", "by Rita Prüfer at 2026-11-24 09:00:00 UTC, for 5m at most"),
    ]


def test_a_window_without_a_request_shows_why_there_is_none() -> None:
    assert rows("request", facts()) == [("request", "none: the policy opens windows without a review")]
    policy = replace(policy_of(), terms=GrantTerms(review=REVIEW, break_glass=True))
    broken = replace(facts(policy), context=replace(CONTEXT, window=replace(CONTEXT.window, break_glass=True)))
    assert rows("request", broken)[0] == ("request", "none: break-glass")
    unread = replace(facts(), context=replace(CONTEXT, window=replace(CONTEXT.window, request="r_9")))
    assert rows("request", unread)[0] == ("request", "r_9")


def test_no_character_of_a_text_leaves_its_constant() -> None:
    """Whatever `standard_conforming_strings` and `client_encoding` are, which `access: full` may change."""
    found = answer("request", facts(request=REQUEST), NOW) or ""
    assert found.isascii()
    assert "\0" not in found
    assert "'it''s" in found
    assert "E'it''s a \\\\ diff''); DROP TABLE a; --'" in found
    assert "Pr?fer" in (answer("request", replace(facts(request=REQUEST), utf8=False), NOW) or "")


def test_what_pgjit_answers_counts_against_no_limit() -> None:
    budget = Budget(LIMITS, Usage(rows=50, statements=5))
    ends = BothEnds(budget=budget)
    ends.client(query("SHOW pgjit.limits"))
    row = answered("D", bytes(2))
    assert row in b"".join(ends.server(row).data)
    ends.server(answered("C", b"SELECT 1\0"), answered("Z", b"I"))
    plan = ends.client(parse("SHOW pgjit.limits"), bind(), execute())
    assert (budget.usage.rows, budget.usage.statements) == (50, 5)
    assert [event.decision for event in plan.events if isinstance(event, Execution)] == ["allow"]
