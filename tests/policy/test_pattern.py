"""Names with globs: what they mean, and what they certainly mean."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgjit.policy.pattern import Patterns, names, parse_pattern

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("sales.orders", ("sales", "orders"), True),
        ("Sales.ORDERS", ("sales", "orders"), True),  # folded, as in SQL
        ('"Sales".orders', ("sales", "orders"), False),
        ('"Sales".orders', ("Sales", "orders"), True),
        ('"a.b".c', ("a.b", "c"), True),
        ('"a""b".c', ('a"b', "c"), True),
        ("sales.*", ("sales", "orders"), True),
        ("sales.*", ("hr", "orders"), False),
        ("sales.order_*", ("sales", "order_lines"), True),
        ("sales.*_log", ("sales", "order_lines"), False),
        ('sales."*"', ("sales", "orders"), False),
        ('sales."*"', ("sales", "*"), True),
        ("sales.a.b", ("sales", "axb"), False),
        ("orders", ("sales", "orders"), True),  # of any schema
        ("*", ("sales", "orders"), True),
        ("sales.a+", ("sales", "aa"), False),  # no regular expression
        ("sales.*", ("sales", "two\nlines"), True),
        ("ÄRGER.x", ("ärger", "x"), False),  # only ASCII letters are folded
        ("Ärger.x", ("Ärger", "x"), True),
    ],
)
def test_a_pattern_means_names(pattern: str, name: tuple[str, ...], matches: bool) -> None:
    patterns = Patterns.of([pattern], 1, 3)

    assert patterns.match(name, lenient=False) == matches
    assert patterns.match(name, lenient=True) == matches


@pytest.mark.parametrize(
    ("listed", "name", "perhaps", "surely"),
    [
        (["sales.*"], (None, "orders"), True, False),
        (["*.orders"], (None, "orders"), True, True),
        (["*"], (None, "orders"), True, True),
        (["sales.*"], (None, None), True, False),
        (["*", "!hr.*"], (None, "orders"), True, False),
        (["*", "!hr.*"], ("sales", "orders"), True, True),
        (["*", "!hr.*"], ("hr", "orders"), False, False),
        (["sales.t.*"], ("sales", "t", None), True, True),
        (["sales.t.*", "!sales.t.secret"], ("sales", "t", None), True, False),
    ],
)
def test_what_is_not_known_may_be_meant_but_is_not_certain(
    listed: list[str], name: tuple[str | None, ...], perhaps: bool, surely: bool
) -> None:
    patterns = Patterns.of(listed, 1, 3)

    assert patterns.match(name, lenient=True) == perhaps
    assert patterns.match(name, lenient=False) == surely


@given(
    listed=st.lists(st.sampled_from(["*", "a.*", "a.b", "!a.b", "b", "!*.c", "a.b.c", "!b.*", "*.b"]), min_size=1),
    name=st.tuples(*[st.sampled_from(["a", "b", "c", None])] * 3),
)
def test_what_is_certain_is_possible(listed: list[str], name: tuple[str | None, ...]) -> None:
    try:
        patterns = Patterns.of(listed, 1, 3)
    except ValueError:
        return
    if patterns.match(name, lenient=False):
        assert patterns.match(name, lenient=True)


@given(schema=NAMES, name=NAMES)
def test_a_quoted_name_means_itself_alone(schema: str, name: str) -> None:
    written = ".".join('"' + part.replace('"', '""') + '"' for part in (schema, name))
    pattern = parse_pattern(written)

    assert pattern.matches((schema, name), lenient=False)
    assert not pattern.matches((schema, name + "x"), lenient=False)


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", "a b", 'a."b', "a.b.c.d", "a!b", '"".b', "a.b "])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        Patterns.of([text], 1, 3)


def test_a_list_of_exclusions_alone_means_nothing() -> None:
    with pytest.raises(ValueError, match="before it leaves something out"):
        Patterns.of(["!a.b"], 1, 3)


@pytest.mark.parametrize("value", [[], "", [""], [1], {"a": 1}, None, 7])
def test_a_list_of_names_is_texts(value: object) -> None:
    with pytest.raises(ValueError, match="must be a text"):
        names(1, 2)(value)


@pytest.mark.parametrize(
    ("one", "other", "covers"),
    [
        (["*"], ["a.b"], True), (["a.*"], ["a.b"], True), (["a.*"], ["a.b*"], True), (["a.b*"], ["a.*"], False),
        (["a.b"], ["a.b"], True),
        (["a.b"], ["a.*"], False), (["*.b"], ["a.b"], True), (["b"], ["a.b"], True), (["a.b"], ["b"], False),
        (["a.*", "!a.b"], ["a.c"], False), (["a.*", "b.*"], ["a.x", "b.y"], True), (["a.*"], ["a.x", "b.y"], False),
        (["a.x*"], ["a.x*"], True),
    ],
)  # fmt: skip
def test_one_list_covers_another(one: list[str], other: list[str], covers: bool) -> None:
    assert Patterns.of(one, 1, 3).covers(Patterns.of(other, 1, 3)) == covers


def test_patterns_reach_another_process_as_they_are() -> None:
    """Judge workers get policies so. A compiled class that is frozen could not be read there."""
    patterns = Patterns((parse_pattern("sales.order_*"),))
    assert patterns == pickle.loads(pickle.dumps(patterns, pickle.HIGHEST_PROTOCOL))
