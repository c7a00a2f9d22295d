"""The caret stands under the character that it means, whatever stands before it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from pgjit.cli.caret import pointed


@pytest.mark.parametrize(
    ("text", "position", "expected"),
    [
        ("SELECT f()", 8, "LINE 1: SELECT f()\n               ^"),
        ("SELECT f()", 1, "LINE 1: SELECT f()\n        ^"),
        ("SELECT", 7, "LINE 1: SELECT\n              ^"),
        ("", 1, "LINE 1: \n        ^"),
        ("SELECT 1,\n  f()", 13, "LINE 2:   f()\n          ^"),
        ("SELECT 1,\r\n  f()", 14, "LINE 2:   f()\n          ^"),
        ("SELECT 1\n", 9, "LINE 1: SELECT 1\n                ^"),
        ("\tf()", 2, "LINE 1:     f()\n            ^"),
        ("SELECT '東京', f()", 14, "LINE 1: SELECT '東京', f()\n                       ^"),
        ("SELECT 'é', f()", 13, "LINE 1: SELECT 'é', f()\n                    ^"),
        ("SELECT 'e\u0301', f()", 14, "LINE 1: SELECT 'e\u0301', f()\n                    ^"),
        ("SELECT '\x1b[2J', f()", 16, "LINE 1: SELECT '\\u001b[2J', f()\n                            ^"),
    ],
)
def test_the_caret_is_under_the_character(text: str, position: int, expected: str) -> None:
    assert pointed(text, position) == expected


def test_a_long_line_is_cut_around_the_caret() -> None:
    text = "SELECT " + "a, " * 200 + "f(1), " + "b, " * 200
    line, caret = pointed(text, 608, width=60).split("\n")
    assert cell_len(line) <= 60
    assert line[len(caret) - 1 :].startswith("f(1), b, ")
    assert line.startswith("LINE 1: ...")
    assert line.endswith("...")


@given(st.text(max_size=300), st.data(), st.integers(20, 200))
def test_the_caret_is_inside_the_line_for_any_text(text: str, data: st.DataObject, width: int) -> None:
    position = data.draw(st.integers(1, len(text) + 1))
    line, caret = pointed(text, position, width).split("\n")
    assert caret.strip(" ") == "^"
    assert len(caret) <= cell_len(line) + 1
    assert cell_len(line) <= max(width, 28 + len(line.partition(":")[0]))
