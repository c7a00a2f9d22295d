"""One journal of three segments, the middle one compressed, opened once for all tests that only read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard

from pgjit.audit.reading.reader import Reader, opened_reader
from pgjit.audit.reading.segment_cache import SegmentCache
from tests.fixtures.journals import JournalStory, write_journal


@dataclass(frozen=True)
class WrittenJournal:
    """A journal, and its records as they were written."""

    folder: Path
    records: list[dict[str, Any]]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [record for record in self.records if record["type"] == kind]


def compress(path: Path) -> Path:
    target = path.with_name(f"{path.name}.zst")
    target.write_bytes(zstandard.compress(path.read_bytes()))
    path.unlink()
    return target


def two_stopped() -> tuple[list[str], int]:
    """The lines of a journal in which one execution reached a limit and one was cut, and how many others failed."""
    lines = list(JournalStory(200, people=2, seed=3).lines())
    failed = [at for at, line in enumerate(lines) if '"ended":"failed"' in line]
    for at, ended in zip(failed, ("limited", "cut"), strict=False):
        lines[at] = lines[at].replace('"ended":"failed"', f'"ended":"{ended}"')
    return lines, len(failed) - 2


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> WrittenJournal:
    folder = tmp_path_factory.mktemp("written") / "journal"
    story = list(JournalStory(1200, people=7).lines())
    paths = write_journal(folder, story, segment_lines=1001)
    compress(paths[1])
    return WrittenJournal(folder, [orjson.loads(line) for line in story])


@pytest.fixture(scope="session")
def reader(written: WrittenJournal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    with opened_reader([written.folder], SegmentCache(tmp_path_factory.mktemp("cache") / "audit")) as opened:
        yield opened
