"""Lines and columns of a position in a statement."""

from __future__ import annotations

import pytest

from pgjit.judging.text_position import line_and_column, line_at


@pytest.mark.parametrize(
    ("text", "position", "expected"),
    [("a", 1, (1, 1)), ("a\nb", 2, (1, 2)), ("a\nb", 3, (2, 1)), ("a\r\nbc", 5, (2, 2)), ("ab", 3, (1, 3))],
)
def test_lines_and_columns_count_from_1(text: str, position: int, expected: tuple[int, int]) -> None:
    assert line_and_column(text, position) == expected


def test_the_line_is_without_its_end() -> None:
    assert line_at("ab\r\ncd\nef", 6) == (2, 4, "cd")
