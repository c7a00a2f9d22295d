"""The messages of the bus, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgjit.app.supervisor.bus_message import (
    MOST_BYTES,
    Admitted,
    BusFault,
    BusMessage,
    CancelAnswer,
    CancelAsk,
    Descriptor,
    DrainOrder,
    EnterAsk,
    Left,
    NewLimits,
    PlaceAnswer,
    PlaceAsk,
    PlaceLeft,
    SiblingDied,
    WorkerReady,
    WorkerStart,
    decoded,
    encoded,
)

MESSAGES: tuple[BusMessage, ...] = (
    WorkerStart(name="a.1", run="r", dead=["q"], held=False, descriptors=[Descriptor(number=7, purpose="listen")]),
    WorkerReady(),
    DrainOrder(delayed=True, keeps_queue=False),
    SiblingDied(name="a.1", run="r"),
    NewLimits(connections=500, of_address=100, of_identity=20, drain=55.0),
    EnterAsk(number=1, network="10.0.0.1"),
    Admitted(number=1, accepted=True, limit="address"),
    Left(network="10.0.0.1"),
    PlaceAsk(number=2, key='["t","o",null]'),
    PlaceAnswer(number=2, taken=False),
    PlaceLeft(key="k"),
    CancelAsk(number=3, pid=-5, secret="00ff"),
    CancelAnswer(number=3, found=True),
)


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_one_line_and_reads_as_it_was_written(message: BusMessage) -> None:
    line = encoded(message)
    assert line.index(b"\n") == len(line) - 1
    assert decoded(line) == message


@pytest.mark.parametrize(
    "line",
    [
        b"", b"\n", b"{}", b"[]", b"null", b"{", b"\xff\xfe", b'{"kind": "other"}', b'{"kind": "ready", "more": 1}',
        b'{"kind": "enter", "number": 1}', b'{"kind": "enter", "number": "1", "network": "a"}',
        b'{"kind": "enter", "number": -1, "network": "a"}', b'{"kind": "left", "network": 5}',
        b'{"kind": "cancel", "number": 1, "pid": 1, "secret": "0"}',
        b'{"kind": "cancel", "number": 1, "pid": 1, "secret": "XY"}',
        b'{"kind": "cancel", "number": 1, "pid": 4294967296, "secret": "00"}',
        b'{"kind": "cancel", "number": 1, "pid": 1, "secret": "' + b"00" * 257 + b'"}',
        b'{"kind": "drain", "delayed": 1, "keeps_queue": true}',
        b'{"kind": "left", "network": "' + b"a" * 513 + b'"}',
        b'{"kind": "left", "network": "' + b"a" * MOST_BYTES + b'"}',
    ],
)  # fmt: skip
def test_what_is_no_message_is_a_fault(line: bytes) -> None:
    with pytest.raises(BusFault):
        decoded(line)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_fault(line: bytes) -> None:
    try:
        message = decoded(line)
    except BusFault:
        return
    assert decoded(encoded(message)) == message
