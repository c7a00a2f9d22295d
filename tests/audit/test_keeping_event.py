"""A journal whose folder goes away while it is written: refused, then used again, and recorded."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from pgjit.audit.journal import Journal
from pgjit.errors import JournalUnavailable
from tests.audit.audit_events import execution
from tests.audit.disturbed_sink import DisturbedSink
from tests.run.journal_text import journal_records


def _seqs(path: Path) -> list[int]:
    return [record["seq"] for record in journal_records(path)]


def _writable(journal: Journal) -> bool:
    """Asked anew: to the type checker a property that was read once stays what it was."""
    return journal.writable


@pytest.mark.parametrize("probed", [True, False])
async def test_a_folder_that_was_away_is_used_again_when_it_is_back(
    journal: Journal, path: Path, probed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    journal.append([execution()])
    away = path.rename(path.with_name("away"))
    for _ in range(2):
        with pytest.raises(JournalUnavailable):
            journal.append([execution()])
        assert not _writable(journal)
    away.rename(path)
    if probed:
        assert _writable(journal)
    journal.append([execution()])
    assert _seqs(path) == [1, 2]
    assert caplog.text.count("takes no records") == caplog.text.count("takes records again") == 1


@pytest.mark.parametrize("probed", [True, False])
async def test_in_a_new_folder_the_first_record_names_the_last_of_the_old_one(
    journal: Journal, path: Path, probed: bool
) -> None:
    origin = journal.origin
    journal.append([execution(), execution()])
    await journal.flush()
    mark = journal.mark
    assert mark is not None
    shutil.rmtree(path)
    with pytest.raises(JournalUnavailable):
        journal.append([execution()])
    path.mkdir()
    if probed:
        assert _writable(journal)
    journal.append([execution()])
    replaced, after = journal_records(path)
    assert (replaced["type"], replaced["seq"], after["seq"]) == ("journal.replaced", 3, 4)
    assert replaced["origin"] == journal.origin != origin
    assert replaced["before"] == {"origin": origin, "lines": 2, "seq": 2, "sha256": mark.sha256}
    assert journal.synced_lines == 0
    await journal.flush()
    assert journal.synced_lines == 2
    assert not journal.holds(mark)


async def test_a_folder_is_not_looked_for_during_a_flush(journal: Journal, sink: DisturbedSink, path: Path) -> None:
    journal.append([execution()])
    sink.gate.clear()
    flushing = asyncio.create_task(journal.flush())
    assert await asyncio.to_thread(sink.flushing.wait, 60)
    shutil.rmtree(path)
    with pytest.raises(JournalUnavailable):
        journal.append([execution()])
    path.mkdir()
    with pytest.raises(JournalUnavailable):
        journal.append([execution()])
    sink.gate.set()
    await flushing
    journal.append([execution()])
    assert _seqs(path) == [2, 3]
