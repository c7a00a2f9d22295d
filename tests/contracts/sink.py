"""What every audit sink must do. A sink's test file subclasses SinkContract and says how one is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from pgjit.audit.sink import OpenedSink, Sink

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
        assert sink.open() == OpenedSink(None, None, None)
        yield sink
        sink.close()

    def test_lines_are_there_in_order_when_append_returns(self, sink: Sink, content: Callable[[], bytes]) -> None:
        for number in range(50):
            sink.append(b"%d\n" % number)
        assert content() == b"".join(b"%d\n" % number for number in range(50))

    def test_several_lines_go_in_at_once(self, sink: Sink, content: Callable[[], bytes]) -> None:
        sink.append(b"a\nb\nc\n")
        assert content() == b"a\nb\nc\n"
        assert sink.lines == 3

    def test_the_next_to_open_it_gets_the_last_line_and_the_number_of_lines(
        self, sink: Sink, make: Callable[[], Sink]
    ) -> None:
        sink.append(b"a\n" + b"b" * 200_000 + b"\n")
        origin = sink.origin
        sink.close()
        again = make()
        assert again.open() == OpenedSink(b"b" * 200_000 + b"\n", b"a\n", None)
        assert again.lines == 2
        assert again.origin == origin != ""
        again.append(b"c\n")
        again.close()
        last = make()
        assert last.open().last == b"c\n"
        assert last.lines == 3
        last.close()

    @pytest.mark.parametrize("length", [1, 1000, 65_535, 65_536, 65_537, 200_000])
    @pytest.mark.parametrize("rotate", [False, True])
    def test_lines_are_read_back_from_the_last_to_the_first(self, sink: Sink, length: int, rotate: bool) -> None:
        assert list(sink.lines_back()) == []
        lines = [bytes([97 + number]) * length + b"\n" for number in range(4)]
        for number, line in enumerate(lines):
            if rotate and number % 2:
                sink.rotate()
            sink.append(line)
        assert list(sink.lines_back()) == lines[::-1]

    def test_segments_follow_each_other_without_a_gap(
        self, sink: Sink, make: Callable[[], Sink], content: Callable[[], bytes]
    ) -> None:
        sink.rotate()  # nothing to close
        sink.append(b"a\nb\n")
        assert sink.open_bytes == 4
        sink.rotate()
        assert sink.open_bytes == 0
        sink.rotate()
        assert sink.lines == 2
        sink.append(b"c\n")
        assert [(each.first, list(each.lines())) for each in sink.flush()] == [(0, [b"a", b"b"])]
        assert sink.flush() == ()
        sink.rotate()
        sink.close()
        assert content() == b"a\nb\nc\n"
        again = make()
        assert again.open() == OpenedSink(b"c\n", None, None)
        assert again.lines == 3
        again.append(b"d\n")
        again.close()
        assert content() == b"a\nb\nc\nd\n"

    def test_a_second_writer_is_refused(self, sink: Sink, make: Callable[[], Sink]) -> None:
        with pytest.raises(OSError, match="another process writes"):
            make().open()
        sink.rotate()
        with pytest.raises(OSError, match="another process writes"):
            make().open()

    def test_flush_returns_and_changes_nothing(self, sink: Sink, content: Callable[[], bytes]) -> None:
        sink.append(b"a\n")
        assert sink.flush() == ()
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
        for attempt in (lambda: sink.append(b"b\n"), sink.rotate, sink.flush, sink.probe, sink.reopen):
            with pytest.raises(OSError, match="not open"):
                attempt()
        sink.close()
        assert content() == b"a\n"
