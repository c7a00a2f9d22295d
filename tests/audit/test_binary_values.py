"""Parameters in binary format, as records show them. `tests/e2e/test_recorded_values.py` compares with a server."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgjit.audit.binary_values import Undecoded, decoded, type_name
from pgjit.audit.event import Parameters
from pgjit.audit.record import render
from tests.audit.audit_events import execution

KNOWN = [16, 17, 20, 21, 23, 25, 26, 600, 700, 701, 1007, 1009, 1016, 1082, 1083, 1114, 1184, 1231, 1266, 1700, 2950]
BROKEN = [
    (16, b"\x02"), (23, b"\0\0\7"), (20, b""), (25, b"\xff"), (2950, b"\0" * 15), (3802, b"\2{}"),
    (1700, b"\0\1\0\0\0\0\0\0"), (1700, struct.pack("!HhHHH", 1, 0, 0, 0, 10_000)),
    (1700, struct.pack("!HhHHH", 1, 30_000, 0, 0, 1)),  # 120,000 digits
    (1082, struct.pack("!i", 2**31 - 2)), (1114, struct.pack("!q", 2**62)), (1083, struct.pack("!q", -1)),
    (1007, struct.pack("!iiIii", 1, 0, 23, 2**31 - 1, 1)), (1007, struct.pack("!iiI", 7, 0, 23)),
    (1007, struct.pack("!iiIii", 1, 0, 25, 0, 1)), (1007, struct.pack("!iiIiiii", 1, 0, 23, 1, 1, 4, 7) + b"x"),
    (1007, struct.pack("!iiIiiiiii", 2, 0, 23, 2**16, 1, 2**16, 1, 4, 7)),
    (600, b"\0" * 16), (0, b"\0"), (99999, b""),
]  # fmt: skip


@pytest.mark.parametrize(("oid", "value"), BROKEN)
def test_what_its_type_never_has_is_not_decoded(oid: int, value: bytes) -> None:
    with pytest.raises(Undecoded):
        decoded(oid, value)


def test_an_empty_and_a_nested_array() -> None:
    assert decoded(1007, struct.pack("!iiI", 0, 0, 23)) == []
    nested = struct.pack("!iiIiiii", 2, 1, 23, 2, 1, 2, 1) + struct.pack("!iiiiiii", 4, 1, -1, 4, 3, 4, 4)
    assert decoded(1007, nested) == [[1, None], [3, 4]]


@given(oid=st.sampled_from(KNOWN), value=st.binary(max_size=80))
def test_any_bytes_of_any_type_are_recorded(oid: int, value: bytes) -> None:
    parameters = Parameters(values=(value,), formats=(1,), types=(oid,))
    [shown] = json.loads(render(execution(parameters=parameters), 1))["parameters"]["values"]
    assert not isinstance(shown, dict) or shown["type"] == type_name(oid)


@pytest.mark.parametrize(
    ("types", "expected"),
    [((23,), 7), ((), {"base64": "AAAABw=="}), ((0,), {"base64": "AAAABw=="}), ((600,), "point"), ((99999,), 99999)],
)
def test_bytes_that_are_not_decoded_have_the_name_of_their_type(types: tuple[int, ...], expected: object) -> None:
    parameters = Parameters(values=(b"\0\0\0\7",), formats=(1,), types=types)
    [shown] = json.loads(render(execution(parameters=parameters), 1))["parameters"]["values"]
    assert (shown["type"] if isinstance(expected, str) or expected == 99999 else shown) == expected


def test_a_long_text_in_binary_format_is_cut_as_text_and_an_array_as_bytes() -> None:
    for type_, key in ((25, "text"), (1009, "base64")):
        parameters = Parameters(values=(b"x" * 9000,), formats=(1,), types=(type_,))
        [shown] = json.loads(render(execution(parameters=parameters), 1))["parameters"]["values"]
        assert (key in shown, shown["length"]) == (True, 9000)
