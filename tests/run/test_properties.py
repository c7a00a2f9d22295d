from __future__ import annotations

import os
import sys

import pytest
from hypothesis.internal import charmap
from hypothesis.internal.conjecture import providers
from hypothesis.internal.intervalsets import IntervalSet

from tests.run.properties import _knowing_utf_8

_DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"
_FIRST, _LAST = 0xD800, 0xDFFF  # surrogates: the only ones that UTF-8 cannot write


def test_the_characters_that_utf_8_can_write_are_known() -> None:
    writes, reads_others = charmap.intervals_from_codec("utf-8")
    assert len(writes) == sys.maxunicode + 1 - (_LAST + 1 - _FIRST)
    assert not len(reads_others)
    for number in (0, _FIRST - 1, _LAST + 1, sys.maxunicode):
        assert chr(number).encode().decode() == chr(number)
        assert number in writes
    assert _FIRST not in writes
    assert _LAST not in writes


def test_other_encodings_are_found_out() -> None:
    found = IntervalSet([(0, 127)]), IntervalSet([])
    assert _knowing_utf_8({"ascii": found}.__getitem__)("ascii") is found


@pytest.mark.skipif(_DEEP, reason="a night has time for it")
def test_no_module_is_read_for_its_constants() -> None:
    assert providers._get_local_constants() is providers._local_constants
    assert len(providers._local_constants) == 0
