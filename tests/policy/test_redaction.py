"""Patterns of `redact`: which may be written, and where they match, in a time that no text can stretch."""

from __future__ import annotations

import pickle

import pytest

from pgjit.policy.redaction import MOST_MATCHES, Redaction, check_redaction_pattern

CARD = Redaction(patterns=("[0-9]{13,16}", "(?i)secret"))


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(?=x)y", r"invalid perl operator: \(\?= \(the syntax is RE2's\)"),
        (r"(a)\1", "invalid escape sequence"),
        ("[a-", "missing \\]"),
        ("x*", "matches an empty text, so it is everywhere"),
        ("x" * 501, "has at most 500 characters"),
        ("x{2000}", "(bad|invalid) repetition"),
    ],
    ids=["looks ahead", "back reference", "unclosed", "empty", "too long", "too many repetitions"],
)
def test_a_pattern_that_cannot_be_used_is_refused(pattern: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check_redaction_pattern(pattern)


def test_matches_are_ranges_of_bytes() -> None:
    text = "é 4111111111111111 SeCret".encode()
    assert CARD.matches(text) == [(3, 19), (20, 26)]
    assert CARD.is_in("a secret")
    assert not CARD.is_in("nothing")
    assert CARD.is_in("\ud800")
    assert Redaction().matches(text) == []


def test_a_match_of_one_pattern_does_not_hide_that_of_another() -> None:
    patterns = ("[0-9]{4}", "[0-9]{4}-[a-z]+", "[a-z]-[0-9]")
    text = b"1234-abc-5, 1234-, abc"
    assert Redaction(patterns=patterns).matches(text) == [(0, 10), (12, 16)]
    assert Redaction(patterns=patterns[::-1]).matches(text) == [(0, 10), (12, 16)]
    assert Redaction(patterns=("[0-9]", "[a-z]")).matches(b"1a") == [(0, 1), (1, 2)]


def test_each_pattern_that_is_accepted_can_be_searched_for_beside_others() -> None:
    patterns = tuple(check_redaction_pattern(rf"(?:\pL\pN){{50}}{'x' * number}") for number in range(20))
    assert not Redaction(patterns=patterns).is_in("a1" * 49)
    assert Redaction(patterns=patterns).matches(b"a1" * 50) == [(0, 100)]


def test_what_comes_after_too_many_matches_counts_as_one() -> None:
    text = b"secret " * (MOST_MATCHES + 50)
    found = CARD.matches(text)
    assert len(found) == MOST_MATCHES
    assert found[-1] == (7 * (MOST_MATCHES - 1), len(text))


def test_a_pattern_that_would_make_others_backtrack_takes_no_time() -> None:
    assert Redaction(patterns=("(a*)*b",)).matches(b"a" * 1_000_000) == []


def test_it_goes_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(CARD)) == CARD
