"""Which part of a long list a page shows, and where the parts beside it begin."""

from __future__ import annotations

import pytest

from pgjit.console.list_part import ListPart, list_part

LETTERS = "abcdefg"


@pytest.mark.parametrize(
    ("begin", "items", "first", "earlier", "later"),
    [
        ("", "abc", 1, None, 4),
        ("1", "abc", 1, None, 4),
        ("4", "def", 4, 1, 7),
        ("5", "efg", 5, 2, None),
        ("7", "g", 7, 4, None),
        ("2", "bcd", 2, 1, 5),
        ("999999", "", 999_999, 999_996, None),
    ],
)
def test_a_part_knows_those_beside_it(
    begin: str, items: str, first: int, earlier: int | None, later: int | None
) -> None:
    assert list_part(LETTERS, begin, 3) == ListPart(items, first, earlier, later)


@pytest.mark.parametrize("begin", ["0", "-1", "x", "1.5", " 4", "4 ", "٤", "1000000", "9" * 5000])
def test_what_is_no_beginning_is_the_first_part(begin: str) -> None:
    assert list_part(LETTERS, begin, 3) == list_part(LETTERS, "", 3)
