"""The messages of nodes about cancel requests: what is read, and what anybody else could send."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgjit.grants.fleet_key import FleetKey
from pgjit.proxy.fleet_message import CancelAsked, CancelDone, read_message, write_message

NOW = datetime(2026, 11, 29, 10, 0, 0, 123456, tzinfo=UTC)
KEY = FleetKey(4, NOW, b"k" * 32)
KEYS = {4: KEY}
ID = "0123456789abcdef" * 2
TO_ALL = CancelAsked(ID, None, -7, b"d" * 32)


@pytest.mark.parametrize("message", [TO_ALL, CancelAsked(ID, b"n" * 8, 2**31 - 1, bytes(32)), CancelDone(ID)])
def test_a_message_is_read_as_it_was_written_for_half_a_minute(message: CancelAsked | CancelDone) -> None:
    text = write_message(message, KEY, NOW)
    assert len(text) <= 400
    for seconds in (-30, 0, 30):
        assert read_message(text, KEYS, NOW + timedelta(seconds=seconds)) == (message, KEY)
    for seconds in (-31, 31):
        assert read_message(text, KEYS, NOW + timedelta(seconds=seconds)) is None


def test_a_message_under_a_key_that_is_not_known_yet_names_it() -> None:
    assert read_message(write_message(TO_ALL, KEY, NOW), {}, NOW) == 4


def test_a_message_that_somebody_else_made_is_not_read() -> None:
    other = FleetKey(4, NOW, b"o" * 32)
    assert read_message(write_message(TO_ALL, other, NOW), KEYS, NOW) is None
    text = write_message(TO_ALL, KEY, NOW)
    for at in range(len(text)):
        changed = text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :]
        assert read_message(changed, KEYS, NOW) in (None, 0, 1)
    for bent in ("", text[:-1], text + "0", text + "\n", " " + text, text.replace("ask", "done"), text.upper()):
        assert read_message(bent, KEYS, NOW) is None


@given(st.text(max_size=500))
def test_no_text_raises_anything(text: str) -> None:
    assert read_message(text, KEYS, NOW) is None
    assert read_message(f"1 4 1 {ID} done {text}", KEYS, NOW) is None
    assert read_message(f"1 4 {'9' * 18} {ID} done {'0' * 64}", KEYS, NOW) is None
