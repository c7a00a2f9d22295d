"""The line of a position, and the character in it, of any text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgjit.console.pointed_line import pointed_line


@pytest.mark.parametrize(
    ("text", "position", "expected"),
    [
        ("SELECT f()", 8, (1, "SELECT ", "f", "()")),
        ("SELECT", 7, (1, "SELECT", " ", "")),
        ("", 1, (1, "", " ", "")),
        ("SELECT 1,\n  f()", 13, (2, "  ", "f", "()")),
        ("x" * 100 + "f" + "y" * 100, 101, (1, "…" + "x" * 80, "f", "y" * 60 + "…")),
    ],
)
def test_the_character_stays_in_view(text: str, position: int, expected: tuple[int, str, str, str]) -> None:
    assert pointed_line(text, position) == expected


@given(st.text(max_size=300), st.data())
def test_any_position_has_a_line(text: str, data: st.DataObject) -> None:
    position = data.draw(st.integers(1, len(text) + 1))
    found = pointed_line(text, position)
    assert len(found.at) == 1
    assert len(found.before + found.at + found.after) <= 143
