"""How bound values are written in a record: as they were bound, within a limit, on one line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgjit.audit.event import Parameters
from pgjit.audit.parameters import PARAMETER_BYTES
from pgjit.audit.record import render
from tests.audit.audit_events import execution


@given(
    values=st.lists(st.none() | st.binary(max_size=64) | st.text(max_size=64).map(str.encode), max_size=8),
    formats=st.lists(st.integers(0, 1), max_size=8),
)
def test_any_parameters_are_one_line(values: list[bytes | None], formats: list[int]) -> None:
    line = render(execution(parameters=Parameters(values=tuple(values), formats=tuple(formats))), 1)
    assert len(line.decode().splitlines()) == 1
    assert len(json.loads(line)["parameters"]["values"]) == len(values)


@pytest.mark.parametrize(
    ("values", "formats", "expected"),
    [
        ((), (), {"values": []}),
        ((b"7", None, "é".encode()), (), {"values": ["7", None, "é"]}),
        ((b"\x00\x07", b"x"), (1, 0), {"values": [{"base64": "AAc="}, "x"]}),
        ((b"\x00", b"\x01"), (1,), {"values": [{"base64": "AA=="}, {"base64": "AQ=="}]}),
        ((b"\xff",), (0,), {"values": [{"base64": "/w=="}]}),
    ],
)
def test_parameters_are_written_as_they_were_bound(
    values: tuple[bytes | None, ...], formats: tuple[int, ...], expected: object
) -> None:
    record = json.loads(render(execution(parameters=Parameters(values=values, formats=formats)), 1))
    assert record["parameters"] == expected


def test_long_parameters_are_cut_and_say_so() -> None:
    values = (b"a" * 4000, "é".encode() * 500, b"never seen")
    record = json.loads(render(execution(parameters=Parameters(values=values, formats=())), 1))
    # 4096 - 4 - 4000 - 4 leaves 88 bytes of the second, and nothing for the third
    assert record["parameters"] == {
        "count": 3,
        "values": ["a" * 4000, {"text": "é" * 44, "length": 1000}],
        "truncated": True,
    }


def test_a_cut_does_not_split_a_character() -> None:
    values = (b"a" + "你".encode() * 2000,)
    record = json.loads(render(execution(parameters=Parameters(values=values, formats=())), 1))
    assert record["parameters"]["values"] == [{"text": "a" + "你" * 1363, "length": 6001}]


def test_a_long_binary_parameter_is_cut_with_its_length() -> None:
    values = (b"\x00" * 9000,)
    record = json.loads(render(execution(parameters=Parameters(values=values, formats=(1,))), 1))
    (value,) = record["parameters"]["values"]
    assert (set(value), value["length"]) == ({"base64", "length"}, 9000)


def test_a_thousand_empty_parameters_are_bounded_too() -> None:
    parameters = Parameters(values=(None,) * 65535, formats=())
    record = json.loads(render(execution(parameters=parameters), 1))["parameters"]
    assert (record["count"], len(record["values"]), record["truncated"]) == (
        65535,
        PARAMETER_BYTES // 4,
        True,
    )
