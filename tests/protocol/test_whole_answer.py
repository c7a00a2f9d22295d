"""An answer that is read as a whole has the rows, the bytes and the ends that the reader of the stream finds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwire.framing import BrokenStream, StreamReader
from pgwire.messages.extended import bind_complete, no_data, parse_complete
from pgwire.messages.query import command_complete, ready_for_query
from pgwire.reader import message
from pgwire.whole_answer import read_whole_answer

PARSED, BOUND, NOTHING = parse_complete(), bind_complete(), no_data()
DESCRIPTION, ROW = message(b"T", b"\0\0"), message(b"D", b"\0\1\0\0\0\1x")
DONE, READY = command_complete("SELECT 2"), ready_for_query(b"I")
FORMS = ((b"", b"TC"), (BOUND, b"DC"), (BOUND, b"Tn"), (PARSED + BOUND, b"DC"), (PARSED + BOUND, b"Tn"))
PIECES = st.sampled_from([
    PARSED, BOUND, NOTHING, DESCRIPTION, ROW, ROW, ROW, message(b"D", b"Z\0\0\0\5I"), DONE, command_complete(""),
    READY,
    ready_for_query(b"T"), message(b"Z", b"x"), message(b"C", b"no end"), message(b"C", b"a\0b\0"), message(b"C"),
    message(b"E", b"\0"), message(b"N", b"\0"), message(b"I"), b"D\0\0\0\3", b"D\0\0\1\0",
    b"T\0\0\0\0", b"C\0\0\0", b"",
])  # fmt: skip
ANSWERS = st.one_of(
    st.lists(PIECES, max_size=6),
    st.builds(
        lambda begin, rows, end: [*begin, *[ROW] * rows, *end],
        st.sampled_from([[], [DESCRIPTION], [BOUND], [BOUND, NOTHING], [PARSED, BOUND, DESCRIPTION]]),
        st.integers(0, 3),
        st.sampled_from([[DONE, READY], [DONE, ready_for_query(b"E")], [DONE], [READY], [DONE, READY, READY]]),
    ),
)


@given(ANSWERS, st.sampled_from(FORMS))
def test_what_is_read_as_a_whole_is_what_the_stream_has(pieces: list[bytes], form: tuple[bytes, bytes]) -> None:
    data = b"".join(pieces)
    answer = read_whole_answer(data, *form)
    if answer is None:
        return
    chunk, controls = StreamReader(limit=1000).feed(data)
    kinds = bytes(kind for kind, *_ in controls)
    _, start, end, rows, size = controls[-2]
    assert chunk == data
    assert kinds[-2:] == b"CZ"
    assert kinds[:-2] in {bytes(form[0][::5]) + more for more in (b"", b"T", b"n")}
    assert [each[4] for each in controls if each[4]] == ([size] if size else [])
    assert answer == (rows, size, data[start + 5 : end - 1].decode(), data[-1:].decode())


@pytest.mark.parametrize(
    ("form", "pieces", "rows"),
    [
        (FORMS[0], [DESCRIPTION, ROW, ROW, DONE, READY], 2),
        (FORMS[0], [DONE, READY], 0),
        (FORMS[1], [BOUND, ROW, DONE, READY], 1),
        (FORMS[2], [BOUND, DESCRIPTION, DONE, READY], 0),
        (FORMS[2], [BOUND, NOTHING, DONE, READY], 0),
        (FORMS[3], [PARSED, BOUND, DONE, READY], 0),
        (FORMS[4], [PARSED, BOUND, DESCRIPTION, ROW, ROW, ROW, DONE, READY], 3),
    ],
)
def test_usual_answers_are_read_as_a_whole(form: tuple[bytes, bytes], pieces: list[bytes], rows: int) -> None:
    data = b"".join(pieces)
    assert read_whole_answer(data, *form) == (rows, rows * len(ROW), "SELECT 2", "I")
    for end in range(len(data)):
        assert read_whole_answer(data[:end], *form) is None
    assert read_whole_answer(data + b"N", *form) is None


@pytest.mark.parametrize("broken", [b"D\0\0\0\3", b"T\0\0\0\0", b"D\xff\xff\xff\xff"])
def test_what_is_no_message_is_left_to_the_reader_of_the_stream(broken: bytes) -> None:
    data = broken + DONE + READY
    assert read_whole_answer(data, b"", b"TCD") is None
    with pytest.raises(BrokenStream):
        StreamReader(limit=1000).feed(data)
