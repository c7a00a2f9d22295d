"""What every audit sink must do. A sink's test file subclasses SinkContract and says how one is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from pgjit.audit.sink import Sink

__all__ = ["SinkContract"]


class SinkContract:
    @pytest.fixture
    def make(self) -> Callable[[], Sink]:
        """A function whose every call gives another sink on the same place. Given by the subclass."""
        raise NotImplementedError

    @pytest.fixture
    def content(self) -> Callable[[], bytes]:
        """A function that gives everything that is in it. Given by the subclass."""
        raise NotImplementedError

    @pytest.fixture
    def sink(self, make: Callable[[], Sink]) -> Iterator[Sink]:
        sink = make()
        assert sink.open() is None
        yield sink
        sink.close()

    def test_lines_are_there_in_order_when_append_returns(self, sink: Sink, content: Callable[[], bytes]) -> None:
        for number in range(50):
            sink.append(b"%d\n" % number)
        assert content() == b"".join(b"%d\n" % number for number in range(50))

    def test_several_lines_go_in_at_once(self, sink: Sink, content: Callable[[], bytes]) -> None:
        sink.append(b"a\nb\nc\n")
        assert content() == b"a\nb\nc\n"

    def test_the_next_to_open_it_is_told_the_last_line(self, sink: Sink, make: Callable[[], Sink]) -> None:
        sink.append(b"a\n" + b"b" * 200_000 + b"\n")
        sink.close()
        again = make()
        assert again.open() == b"b" * 200_000 + b"\n"
        again.append(b"c\n")
        again.close()
        last = make()
        assert last.open() == b"c\n"
        last.close()

    @pytest.mark.parametrize("length", [1, 1000, 65_535, 65_536, 65_537, 200_000])
    def test_lines_are_read_back_from_the_last_to_the_first(self, sink: Sink, length: int) -> None:
        assert list(sink.lines_back()) == []
        lines = [bytes([97 + number]) * length + b"\n" for number in range(4)]
        for line in lines:
            sink.append(line)
        assert list(sink.lines_back()) == lines[::-1]

    def test_a_second_writer_is_refused(self, sink: Sink, make: Callable[[], Sink]) -> None:
        with pytest.raises(OSError, match="another process writes"):
            make().open()

    def test_flush_returns_and_changes_nothing(self, sink: Sink, content: Callable[[], bytes]) -> None:
        sink.append(b"a\n")
        sink.flush()
        assert content() == b"a\n"

    def test_a_probe_leaves_no_trace(self, sink: Sink, content: Callable[[], bytes]) -> None:
        sink.append(b"a\n")
        sink.probe()
        assert content() == b"a\n"
        sink.append(b"b\n")
        assert content() == b"a\nb\n"

    def test_nothing_is_taken_after_close(self, sink: Sink, content: Callable[[], bytes]) -> None:
        sink.append(b"a\n")
        sink.close()
        with pytest.raises(OSError, match="not open"):
            sink.append(b"b\n")
        sink.close()
        assert content() == b"a\n"
