"""The cursor over one message body."""

from __future__ import annotations

import pytest

from pgwire.errors import LocalProtocolError, RemoteProtocolError
from pgwire.reader import BodyReader, cstring, message


def test_integers_are_big_endian_and_counts_unsigned() -> None:
    reader = BodyReader(b"\x07\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")
    found = [reader.byte(), reader.int16(), reader.count(), reader.int32(), reader.uint32()]
    assert found == [7, -1, 0xFFFF, -1, 0xFFFFFFFF]
    assert reader.left == 0
    reader.end()


def test_nothing_is_read_beyond_the_end() -> None:
    for read in ("byte", "int16", "int32", "uint32", "count", "string"):
        with pytest.raises(RemoteProtocolError):
            getattr(BodyReader(b""), read)()
    for count in (-1, 3):
        with pytest.raises(RemoteProtocolError):
            BodyReader(b"ab").take(count)


def test_what_is_left_over_is_a_fault() -> None:
    reader = BodyReader(b"a\0b")
    assert reader.string() == b"a"
    assert reader.left == 1
    with pytest.raises(RemoteProtocolError):
        reader.end()


def test_a_message_counts_itself_and_its_body() -> None:
    assert message(b"Q", b"ab", b"\0") == b"Q\0\0\0\x07ab\0"
    with pytest.raises(LocalProtocolError):
        cstring(b"a\0")
