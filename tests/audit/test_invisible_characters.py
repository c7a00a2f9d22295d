"""What nobody sees is spelled out in the journal, and nothing else."""

from __future__ import annotations

import dataclasses
import json
import sys
import unicodedata

import pytest

from pgjit.audit.event import Execution, Parameters
from pgjit.audit.invisible_characters import INVISIBLE, escape_invisible
from pgjit.audit.record import render
from tests.audit.audit_events import EVENTS

_CATEGORIES = frozenset({"Cc", "Cf", "Zl", "Zp"})


def test_every_control_and_format_character_of_unicode_is_escape_invisible() -> None:
    characters = [chr(number) for number in (*range(0x7F, 0xD800), *range(0xE000, sys.maxunicode + 1))]
    hidden = [
        each for each in characters if unicodedata.category(each) in _CATEGORIES or 0xE0000 <= ord(each) < 0xE1000
    ]
    assert len(hidden) > 4096
    assert [each for each in hidden if not escape_invisible(each).isascii()] == []
    for at in range(0, len(characters), 1024):
        text = "".join(characters[at : at + 1024])
        assert json.loads(f'"{escape_invisible(text)}"') == text, hex(ord(text[0]))


@pytest.mark.parametrize("number", [0x34F, 0x115F, 0x180B, 0x2065, 0x2800, 0x3164, 0xFE0F, 0xFFA0, 0xE0100, 0xE0FFF])
def test_what_is_ignored_or_blank_without_being_a_format_character_is_escape_invisible_too(number: int) -> None:
    assert escape_invisible(chr(number)).isascii()


@pytest.mark.parametrize("text", ["é", "日本", "😀", "\u0301", "\u00a0", "\u3000", "ا", "ש"])
def test_what_is_seen_stays_as_it_is(text: str) -> None:
    assert escape_invisible(text) == text


def test_the_ranges_are_in_order_and_apart() -> None:
    edges = [edge for first, last in INVISIBLE for edge in (first, last)]
    assert edges == sorted(edges)
    assert all(first <= last for first, last in INVISIBLE)


@pytest.mark.parametrize(
    "hidden", ["\u200e", "\u061c", "\u200b", "\ufeff", "\u00ad", "\U000e0041", "\u2066", "\x85", "\x00"]
)
def test_it_is_escape_invisible_wherever_text_goes_in_and_the_text_can_be_had_back(hidden: str) -> None:
    execution = EVENTS["execution"]
    assert isinstance(execution, Execution)
    text = f"SELECT '{hidden}'"
    event = dataclasses.replace(
        execution, statement=text, prepared_as=hidden, through=(text, hidden), unresolved=hidden,
        parameters=Parameters(values=(hidden.encode(), hidden.encode()), formats=(0, 2)),
    )  # fmt: skip
    line = render(event, 1)
    assert hidden.encode() not in line
    record = json.loads(line)
    assert (record["statement"], record["prepared_as"], record["through"]) == (text, hidden, [text, hidden])
    assert (record["unresolved"], record["parameters"]["values"]) == (hidden, [hidden, {"sql": hidden}])
