"""The program's log: a reader that does not read holds up nobody, and loses lines that are counted."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator

import pytest

from pgjit.telemetry.program_log import LineWriter, ProgramLog


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    yield read, write
    for each in (read, write):
        os.close(each)


def _record(text: str) -> logging.LogRecord:
    return logging.LogRecord("pgjit", logging.INFO, "", 1, text, (), None)


def _read(descriptor: int, until: bytes) -> bytes:
    text = b""
    while until not in text:
        text += os.read(descriptor, 65536)
    return text


def _reported(text: bytes) -> int:
    """How many lines the text says were dropped."""
    said = rb"^(\d+) lines of the log were dropped, because nobody read them in time\n"
    return sum(int(number) for number in re.findall(said, text, re.MULTILINE))


def test_what_nobody_reads_is_dropped_and_counted_and_the_caller_does_not_wait(pipe: tuple[int, int]) -> None:
    read, write = pipe
    writer = LineWriter(write, most=10)
    for number in range(200):
        writer.emit(_record(f"{number} " + "x" * 8000))  # the pipe holds eight of them
    dropped = writer.dropped
    assert 200 - 10 - 10 <= dropped <= 200 - 10
    # How often the thread reports what was dropped depends on when it runs; the sum does not.
    text = b""
    while text.count(b"x\n") + _reported(text) < 200:
        text += os.read(read, 65536)
    assert (text.count(b"x\n"), _reported(text)) == (200 - dropped, dropped)
    writer.close()


def test_a_reader_that_is_gone_stops_nothing() -> None:
    read, write = os.pipe()
    writer = LineWriter(write)
    os.close(read)
    writer.emit(_record("nobody reads this"))
    writer.close()
    os.close(write)
    assert writer.dropped == 1


def test_a_line_that_cannot_be_formatted_fails_no_caller(pipe: tuple[int, int]) -> None:
    writer = LineWriter(pipe[1])
    writer.emit(logging.LogRecord("pgjit", logging.INFO, "", 1, "%d", ("no number",), None))
    writer.close()
    assert _read(pipe[0], b"\n") == b"a line of pgjit cannot be formatted\n"


def test_all_lines_are_written_before_it_is_closed_and_the_level_counts(pipe: tuple[int, int]) -> None:
    before = logging.getLogger().level, logging.getLogger().handlers
    with ProgramLog("json", "warning", pipe[1]):
        logging.getLogger("pgjit.x").info("too small")
        logging.getLogger("httpx").info("noise")
        logging.getLogger("pgjit.x").warning("large enough")
    assert _read(pipe[0], b"\n").count(b"\n") == 1
    assert (logging.getLogger().level, logging.getLogger().handlers) == before


def test_a_change_of_form_and_level_counts_from_the_next_line_on(pipe: tuple[int, int]) -> None:
    before = logging.getLogger().level
    with ProgramLog("text", "warning", pipe[1]) as log:
        logging.getLogger("pgjit.x").warning("first")
        log.change("json", "info")
        logging.getLogger("pgjit.x").info("second")
        logging.getLogger("httpx").info("noise")
        log.change("json", "error")
        logging.getLogger("pgjit.x").warning("too small")
    first, second, rest = _read(pipe[0], b"}\n").split(b"\n")
    assert (first[:1], second[:1], rest) == (b"2", b"{", b"")
    assert b"second" in second
    assert logging.getLogger().level == before
