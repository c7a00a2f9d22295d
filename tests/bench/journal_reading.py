"""Measures the reading of a large journal: `python -m tests.bench.journal_reading [EXECUTIONS]` (5,000,000).

Prints seconds of the clock and of processors: on a busy machine only the second says something. Makes the journal and
the cache in a temporary folder; ten million records need 4.5 GB.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from pgjit.audit.reading.execution_list import ExecutionFilter, list_executions
from pgjit.audit.reading.reader import opened_reader
from pgjit.audit.reading.report import PARTS
from pgjit.audit.reading.segment_cache import SegmentCache
from tests.fixtures.journals import START, JournalStory, write_journal

__all__ = ["main"]

Result = TypeVar("Result")
_SEGMENT = 100_000
_LISTS = {
    "newest": ExecutionFilter(),
    "one person's": ExecutionFilter(identity="person7@example.com"),
    "one connection's": ExecutionFilter(connection="prod"),
    "refused": ExecutionFilter(decision="deny"),
    "of a relation": ExecutionFilter(touches="shop.orders"),
    "with a text": ExecutionFilter(text="id = 12345"),
    "by SQLSTATE": ExecutionFilter(sqlstate="42P01"),
    "after the end": ExecutionFilter(after_end=True),
}
_QUERIES = {
    "count and sum of all": "SELECT count(*), sum(rows), sum(bytes) FROM executions",
    "by policy and decision": "SELECT policy, decision, count(*), avg(duration_us) FROM executions GROUP BY ALL",
    "rows for each person": "SELECT display, sum(rows) FROM executions GROUP BY 1 ORDER BY 2 DESC LIMIT 10",
}


def main(executions: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        journal, cache = Path(folder) / "journal", SegmentCache(Path(folder) / "cache")
        paths = _measured("journal made", lambda: write_journal(journal, _lines(executions), segment_lines=_SEGMENT))
        print(f"{sum(path.stat().st_size for path in paths) / 1e9:.1f} GB in {len(paths)} segments")
        _measured("cache made", lambda: _open(journal, cache))
        _measured("opened", lambda: _open(journal, cache))
        with opened_reader([journal], cache) as reader:
            for name, chosen in _LISTS.items():
                _measured(f"list: {name}", lambda chosen=chosen: list_executions(reader, chosen, limit=50))  # type: ignore[misc]
            for name, sql in _QUERIES.items():
                _measured(f"sql: {name}", lambda sql=sql: reader.query(sql))  # type: ignore[misc]
            empty = {"since": None, "until": None}
            for name, part in PARTS.items():
                _measured(f"report: {name}", lambda part=part: reader.query(part.sql, empty, most=1000))  # type: ignore[misc]


def _lines(executions: int) -> Iterator[str]:
    """Several stories, one after the other: one alone would keep its people and times."""
    seed = 0
    while executions > 0:
        count = min(executions, 500_000)
        yield from JournalStory(count, seed=seed, people=200, start=START + timedelta(days=seed)).lines()
        executions, seed = executions - count, seed + 1


def _open(journal: Path, cache: SegmentCache) -> None:
    with opened_reader([journal], cache):
        pass


def _measured(name: str, run: Callable[[], Result]) -> Result:
    begin, before = time.perf_counter(), sum(os.times()[:2])
    result = run()
    print(f"{time.perf_counter() - begin:8.2f} s {sum(os.times()[:2]) - before:8.2f} s CPU  {name}", flush=True)
    return result


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5_000_000)
