"""Text of others cannot steer a terminal."""

from __future__ import annotations

import pytest

from pgjit.audit.plain_text import plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("public.notes", "public.notes"),
        ("Zürich 東京", "Zürich 東京"),
        ("a\x1b[2Jb", "a\\u001b[2Jb"),
        ("a\nb\tc", "a\\u000ab\\u0009c"),
        ("a\u202eb", "a\\u202eb"),
        ("a\u2028b", "a\\u2028b"),
        ("a\u3164\u2800\ufe0fb", "a\\u3164\\u2800\\ufe0fb"),
    ],
)
def test_control_characters_are_written_out(text: str, shown: str) -> None:
    assert plain(text) == shown
