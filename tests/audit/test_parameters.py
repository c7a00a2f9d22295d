"""What is kept of parameters is what a record will have of them."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgjit.audit.event import Parameters
from pgjit.audit.parameters import PARAMETER_BYTES, kept
from pgjit.audit.record import render
from tests.audit.audit_events import execution

VALUES = st.lists(st.none() | st.binary(max_size=40) | st.just(b"x" * 3_000), max_size=6)


def _record(parameters: Parameters) -> object:
    return json.loads(render(execution(parameters=parameters), 1))["parameters"]


@given(VALUES, st.sampled_from([(), (0,), (1,)]))
def test_a_record_says_the_same_of_what_is_kept_as_of_the_whole(
    values: Sequence[bytes | None], formats: tuple[int, ...]
) -> None:
    whole = Parameters(values=tuple(values), formats=formats)
    assert kept(kept(whole)) == kept(whole)
    assert _record(kept(whole)) == _record(whole)


@pytest.mark.parametrize(
    ("values", "count", "length"),
    [
        ((b"x" * 8_000_000,), 1, 8_000_000),
        ((b"x" * 10, b"y" * 8_000_000, b"z" * 8_000_000), 2, 8_000_000),
        ((b"",) * 65_535, PARAMETER_BYTES // 4, None),
        ((b"x" * (PARAMETER_BYTES - 4), b"y"), 1, None),
        ((None, b"x"), 2, None),
    ],
)
def test_no_more_is_held_than_is_recorded(values: tuple[bytes | None, ...], count: int, length: int | None) -> None:
    held = kept(Parameters(values=values, formats=(0,) * len(values)))
    assert (len(held.values), held.count, held.length) == (count, len(values), length)
    assert sum(len(value) for value in held.values if value) <= PARAMETER_BYTES
    assert len(held.formats) <= count
