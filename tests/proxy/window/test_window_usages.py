"""The usage of a window that is over is saved by its end; that of others is saved when their turn comes."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from pgjit.errors import ServerUnavailable
from pgjit.grants.store import Store
from pgjit.grants.usage import Usage
from pgjit.proxy.window.window_usages import WindowUsages


class Noted:
    """A store that keeps what it is given, until it fails."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Usage]] = []
        self.fails = False

    async def note_usage(self, window_id: str, used: Usage) -> None:
        if self.fails:
            raise ServerUnavailable("the store cannot be used", reference="store-unavailable")
        self.calls.append((window_id, replace(used)))


def used(store: Noted) -> WindowUsages:
    usages = WindowUsages(cast(Store, store))
    for number, window in enumerate(("w_0", "w_1", "w_2"), start=1):
        usages.of(window).rows = number
    return usages


async def test_the_end_of_a_window_saves_its_usage_alone() -> None:
    store = Noted()
    usages = used(store)
    await usages.forget("w_1")
    assert store.calls == [("w_1", Usage(rows=2))]
    assert usages.of("w_1") == Usage()
    await usages.save()
    await usages.save()
    assert store.calls[1:] == [("w_0", Usage(rows=1)), ("w_2", Usage(rows=3))]


async def test_a_window_that_nobody_used_or_knows_is_not_saved() -> None:
    store = Noted()
    usages = used(store)
    usages.of("w_3")
    await usages.forget("w_3")
    await usages.forget("w_4")
    assert store.calls == []


async def test_what_cannot_be_saved_is_saved_later_and_the_end_of_a_window_does_not_wait(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Noted()
    usages = used(store)
    store.fails = True
    await usages.forget("w_1")
    await usages.save()
    assert ["usage of window w_1" in caplog.messages[0], "usage of window w_0" in caplog.messages[1]] == [True, True]
    assert len(caplog.messages) == 2
    store.fails = False
    await usages.save()
    assert [window for window, _ in store.calls] == ["w_0", "w_2"]
