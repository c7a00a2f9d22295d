"""A journal whose sink can be disturbed, and which flushes only when it is asked to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pgjit.audit.journal import Journal
from tests.audit.disturbed_sink import DisturbedSink


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def sink(path: Path) -> DisturbedSink:
    return DisturbedSink(path)


@pytest.fixture
async def journal(sink: DisturbedSink) -> AsyncIterator[Journal]:
    journal = Journal.open(sink, durability="synced", interval=3600)
    yield journal
    if journal.writable:
        await journal.close()
    else:
        sink.close()
