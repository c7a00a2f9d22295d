"""Which patterns a policy may require of a reason."""

from __future__ import annotations

import re

import pytest

from pgjit.policy.reason_pattern import check_pattern


@pytest.mark.parametrize("pattern", ["(OPS|INC)-[0-9]+", r"INC\d{7}", "[A-Z]{2,10}-[0-9]{1,6}.*", r"CHG\-\d+", ""])
def test_ticket_numbers_are_accepted(pattern: str) -> None:
    assert check_pattern(pattern) == pattern


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+",
        "(a|a)*",
        "a*a*a*b",
        "(?=a)",
        r"(a)\1",
        "a" * 201,
        "a?" * 5,
        "|".join("abcdefgh"),
        "[",
        "a{,3}",
        "(?i)a",
        "(",
    ],
)
def test_what_could_take_long_or_is_not_understood_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        check_pattern(pattern)


def test_the_worst_accepted_pattern_is_matched_against_the_longest_text() -> None:
    pattern = check_pattern("a*a*a?a?b")
    assert re.fullmatch(pattern, "a" * 256) is None  # quadratic: it comes back
