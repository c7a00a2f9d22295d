"""The bell rings for events and comments, and asks for the stream again where there is none."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pgjit.cli import event_bell
from pgjit.cli.event_bell import EventBell


@pytest.mark.parametrize("line", ["event: request.made", ": still here"])
def test_it_rings_for_what_the_stream_sends(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.setattr(event_bell, "_BETWEEN", 0.0)
    monkeypatch.setattr(event_bell, "_QUIET", 60.0)
    monkeypatch.setattr(event_bell, "_WITHOUT_STREAM", 60.0)
    sent: queue.Queue[str | None] = queue.Queue()

    @contextmanager
    def lines() -> Iterator[Iterator[str]]:
        yield iter(sent.get, None)

    bell = EventBell(lines)
    for text in ("retry: 3000", "", line):
        sent.put(text)
    assert bell.wait()
    bell.close()
    sent.put("")
    bell._reader.join(60)
    assert not bell._reader.is_alive()


def test_without_a_stream_it_asks_for_one_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_bell, "_WITHOUT_STREAM", 0.001)
    monkeypatch.setattr(event_bell, "_BETWEEN", 0.0)
    tries: queue.Queue[int] = queue.Queue()
    broken = iter([True])

    @contextmanager
    def lines() -> Iterator[None]:
        tries.put(1)
        if next(broken, False):
            raise ConnectionError
        yield None

    bell = EventBell(lines)
    assert [tries.get(timeout=60) for _ in range(3)] == [1, 1, 1]
    assert not bell.wait()
    bell.close()
    bell._reader.join(60)
    assert not bell._reader.is_alive()
