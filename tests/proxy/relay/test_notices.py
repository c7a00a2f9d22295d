"""What notices say, and whether a client wants them."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from pgjit.judging.judge import Judge
from pgjit.proxy.relay.named_values import ExecutedStatement
from pgjit.proxy.relay.notices import Notices, end_notice, login_notice
from pgwire.messages.query import decode_error
from tests.fakes.both_ends import CONTEXT, NOW
from tests.fixtures.terms import policy_of, terms

JUDGE = Judge(policy_of(), limit=10_000)


def after(notices: Notices, *texts: str) -> Notices:
    for text in texts:
        for statement in JUDGE.judge_inline(text.encode()).statements:  # type: ignore[union-attr]
            notices.note(ExecutedStatement(text, statement.kind, statement))
    return notices


@pytest.mark.parametrize("level", [None, "notice", "LOG", "debug1"])
def test_a_client_that_reads_notices_is_sent_them(level: str | None) -> None:
    assert Notices(level).wanted()
    assert not Notices(level, off=True).wanted()


@pytest.mark.parametrize("level", ["warning", "Error", "fatal", "panic", "something"])
def test_a_client_that_starts_above_notice_is_sent_none(level: str) -> None:
    assert not Notices(level).wanted()


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        (["SET client_min_messages = warning"], False),
        (["SET client_min_messages TO 'ERROR'"], False),
        (["SELECT set_config('client_min_messages', 'error', false)"], False),
        (["SELECT set_config('client_min_messages', $1, false)"], False),
        (["SET client_min_messages = error", "SET client_min_messages = notice"], True),
        (["SET client_min_messages = error", "RESET client_min_messages"], True),
        (["SET client_min_messages = error", "RESET ALL"], True),
        (["SET client_min_messages = error", "DISCARD ALL"], True),
        (["SET client_min_messages = error", "DISCARD PLANS"], False),
        (["SET work_mem = '1MB'", "SELECT 1"], True),
    ],
)
def test_the_level_follows_the_statements_that_run(texts: list[str], wanted: bool) -> None:
    assert after(Notices(), *texts).wanted() is wanted


def test_a_level_of_a_transaction_ends_with_it() -> None:
    notices = after(Notices(), "SET LOCAL client_min_messages = error")
    assert not notices.wanted("T")
    assert notices.wanted("I")
    assert notices.wanted("T")


def test_reset_goes_back_to_the_level_of_the_startup_message() -> None:
    notices = after(Notices("warning"), "SET client_min_messages = notice")
    assert notices.wanted()
    assert not after(notices, "RESET ALL").wanted()


def test_the_notice_at_the_login_names_policy_end_and_what_is_allowed() -> None:
    section = terms(allow=[{"relations": [f"sales.a_long_name_{n}" for n in range(40)]}])
    sent = login_notice(CONTEXT.window, replace(policy_of(), statements=section), NOW + timedelta(minutes=30), NOW)
    assert sent[:1] == b"N"
    fields = decode_error(sent[5:])
    assert (fields["S"], fields["C"], fields["R"]) == ("NOTICE", "00000", "pgjit:window-open")
    assert fields["M"] == "window w_1 is open until 2026-11-24 09:30:00 UTC, for 1800 s"
    assert fields["D"].startswith("Policy `tested`: access read-only; relations sales.a_long_name_0, ")
    assert re.search(r", sales\.a_long_name_\d and more, see SHOW pgjit\.allowed\.$", fields["D"])
    assert 150 < len(fields["D"]) <= 200
    assert "SHOW pgjit.allowed" in fields["H"]


@pytest.mark.parametrize(
    ("access", "allow", "words"),
    [
        ("read-only", [{"relations": ["sales.orders"]}], "relations sales.orders."),
        ("read-only", [{"relations": ["s" * 60 + "." + "t" * 100]}], "relations see SHOW pgjit.allowed."),
        (
            "read-write",
            [
                {"relations": ["sales.*"], "kinds": ["select"]},
                {"relations": ["s" * 160], "kinds": ["insert", "update"]},
            ],
            "relations select: sales.* and more, see SHOW pgjit.allowed.",
        ),
    ],
)
def test_a_relation_is_named_whole_or_not_at_all(access: str, allow: list[dict[str, object]], words: str) -> None:
    policy = replace(policy_of(), statements=terms(access=access, allow=allow))
    sent = login_notice(CONTEXT.window, policy, NOW + timedelta(minutes=30), NOW)
    detail = decode_error(sent[5:])["D"]
    assert detail == f"Policy `tested`: access {access}; {words}"


@pytest.mark.parametrize(("seconds", "words"), [(299, "5 minutes"), (61, "1 minute,"), (2, "1 minute,")])
def test_the_notice_before_the_end_says_when(seconds: int, words: str) -> None:
    sent = end_notice(CONTEXT.window, NOW + timedelta(seconds=seconds), NOW)
    assert sent.isascii()
    assert words in decode_error(sent[5:])["M"]
    assert "A new window may be requested from 2026-11-24 11:00:00 UTC" in decode_error(sent[5:])["H"]
