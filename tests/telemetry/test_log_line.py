"""Lines of the log: nothing from outside can forge one, and what looks like a token is left out."""

from __future__ import annotations

import contextvars
import json
import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgjit.telemetry.log_context import log_session, log_window
from pgjit.telemetry.log_line import JsonLines, TextLines

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZ2VudCJ9.c2lnbmF0dXJl"


def record(message: str, *values: object, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("pgjit.door", logging.WARNING, "file.py", 1, message, values, None)
    made.created = 1_764_410_400.1239
    made.__dict__.update(fields)
    return made


def test_a_line_of_text() -> None:
    line = TextLines().format(record("login refused: %s", "expired", reference="expired", source="10.0.0.7:5000"))
    assert line == (
        "2025-11-29T10:00:00.123Z WARNING pgjit.door: login refused: expired reference=expired source=10.0.0.7:5000"
    )


def test_a_line_of_json() -> None:
    line = json.loads(JsonLines().format(record("login refused: %s", "expired", count=3, window="w_1")))
    assert line == {
        "time": "2025-11-29T10:00:00.123Z", "level": "warning", "logger": "pgjit.door",
        "message": "login refused: expired", "count": 3, "window": "w_1",
    }  # fmt: skip


def test_lines_of_a_session_have_its_ids() -> None:
    def in_session() -> str:
        log_session("s1")
        log_window("w_1")
        return TextLines().format(record("here"))

    assert contextvars.copy_context().run(in_session).endswith("here session=s1 window=w_1")
    assert TextLines().format(record("there")).endswith("there")


@pytest.mark.parametrize("form", [TextLines(), JsonLines()])
@given(st.text())
def test_a_record_is_one_line_that_shows_no_control_character(form: logging.Formatter, text: str) -> None:
    line = form.format(record("%s", text, source=text))
    assert line.isprintable()
    assert line.encode()


@pytest.mark.parametrize("form", [TextLines(), JsonLines()])
def test_a_forged_line_is_part_of_the_true_one(form: logging.Formatter) -> None:
    line = form.format(record("refused: %s", "x\n2025-11-29T10:00:00Z CRITICAL pgjit: all is lost\x1b[2J\u202e"))
    assert "\n" not in line
    assert "\\x1b[2J" in line.replace("\\\\", "\\")
    assert "\\u202e" in line.replace("\\\\", "\\")


@pytest.mark.parametrize("form", [TextLines(), JsonLines()])
def test_a_token_is_left_out_also_of_a_traceback(form: logging.Formatter) -> None:
    try:
        raise ValueError(f"bad token {TOKEN}")
    except ValueError:
        failed = record("password was %s", TOKEN)
        failed.exc_info = sys.exc_info()
    line = form.format(failed)
    assert "eyJ" not in line
    assert "<token>" in line
    assert "bad token" in line
    assert form.format(record("long %s", "x" * 100_000)).endswith(
        ("... (100005 characters)", '... (100005 characters)"}')
    )


def test_a_traceback_follows_in_lines_that_begin_with_spaces() -> None:
    try:
        raise ValueError("one\ntwo")
    except ValueError:
        failed = record("it failed")
        failed.exc_info = sys.exc_info()
    first, *others = TextLines().format(failed).splitlines()
    assert first.endswith("it failed")
    assert all(line.startswith("    ") for line in others)
