"""Parts in their order, whatever fails."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from pgjit.parts import Parts


class Failed(Exception):
    pass


class Log:
    """What was started and stopped, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def part(self, name: str, fails: str = "") -> Callable[[], AbstractAsyncContextManager[None]]:
        @asynccontextmanager
        async def run() -> AsyncIterator[None]:
            if fails == "start":
                raise Failed(name)
            self.lines.append(f"start {name}")
            try:
                yield
            finally:
                self.lines.append(f"stop {name}")
                if fails == "stop":
                    raise Failed(name)

        return run


async def test_they_stop_in_the_reverse_order_of_their_start() -> None:
    log = Log()
    parts = Parts({name: log.part(name) for name in "abc"})
    await parts.start()
    assert parts.started == ["a", "b", "c"]
    await parts.stop()
    assert parts.started == []
    assert log.lines == ["start a", "start b", "start c", "stop c", "stop b", "stop a"]


async def test_where_one_cannot_be_started_those_before_it_are_stopped() -> None:
    log = Log()
    parts = Parts({"a": log.part("a"), "b": log.part("b"), "c": log.part("c", "start"), "d": log.part("d")})
    with pytest.raises(Failed) as failed:
        await parts.start()
    assert failed.value.__notes__ == ["while starting: c"]
    assert log.lines == ["start a", "start b", "stop b", "stop a"]
    await parts.stop()
    assert len(log.lines) == 4, "nothing is stopped twice"


async def test_one_that_cannot_be_stopped_keeps_none_from_being_stopped() -> None:
    log = Log()
    parts = Parts({"a": log.part("a"), "b": log.part("b", "stop"), "c": log.part("c")})
    await parts.start()
    with pytest.raises(Failed, match="b"):
        await parts.stop()
    assert log.lines[3:] == ["stop c", "stop b", "stop a"]
