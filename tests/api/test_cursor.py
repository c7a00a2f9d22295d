"""A list is read to its end by its cursors, without an item twice or left out, and any other text is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgjit.api.cursor import Position, paged, read_cursor, write_cursor
from pgjit.api.refusals import InvalidCall

START = datetime(2026, 11, 24, tzinfo=UTC)
POSITIONS = st.builds(Position, st.integers(0, 5).map(lambda n: START + timedelta(seconds=n)), st.text(max_size=3))


@given(st.lists(POSITIONS, unique=True, max_size=20), st.integers(1, 7))
def test_pages_together_are_the_list(items: list[Position], limit: int) -> None:
    read: list[Position] = []
    cursor = None
    while True:
        page, following = paged(items, lambda item: item, read_cursor(cursor), limit)
        read += page
        if following is None:
            break
        assert len(page) == limit
        cursor = following
    assert read == sorted(items, reverse=True)


@given(st.text(max_size=80))
def test_any_other_text_is_refused(text: str) -> None:
    try:
        position = read_cursor(text)
    except InvalidCall:
        return
    assert position is not None
    assert read_cursor(write_cursor(position)) == position


@pytest.mark.parametrize("text", ["", "x" * 600, "bnVsbA", "W10", "WyIyMDI2IiwgMV0", "WyIyMDI2LTExLTI0IiwgImEiXQ"])
def test_a_text_that_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(InvalidCall):
        read_cursor(text)
