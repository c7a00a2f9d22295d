"""What a session can ask about itself."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pgjit.proxy.relay.show_pgjit import ABOUT, answer
from tests.fakes.both_ends import CONTEXT, NOW

END = NOW + timedelta(minutes=30)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("window", "w_1: 2026-11-24 09:00:00 UTC to 2026-11-24 09:30:00 UTC"),
        ("policy", "jit-schema-checks (version 0123456789ab)"),
        ("identity", "agent aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa of tenant 11111111-1111-4111-8111-111111111111"),
        ("remaining", "0:29:30"),
    ],
)
def test_the_answer_is_a_constant_under_the_name_that_was_asked(name: str, text: str) -> None:
    found = answer(name, CONTEXT, END, NOW + timedelta(seconds=30))
    assert found == f"SELECT '{text}'::pg_catalog.text AS \"pgjit.{name}\""


def test_every_name_that_is_offered_has_an_answer_and_no_other_has() -> None:
    assert None not in [answer(name, CONTEXT, END, NOW) for name in ABOUT]
    assert answer("token", CONTEXT, END, NOW) is None


def test_nothing_remains_after_the_end() -> None:
    assert "'0:00:00'" in (answer("remaining", CONTEXT, END, END + timedelta(hours=1)) or "")
