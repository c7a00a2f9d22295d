"""A journal that pages read, in this process, and the windows of the store that belong to it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pgjit.api.refusals import CallRefused
from pgjit.audit.reading.answering import answer
from pgjit.grants.window import Window
from pgjit.identity.identity import IdentityKey
from tests.console.visits import Visits
from tests.fixtures.journals import JournalStory, write_journal

__all__ = ["EVIL", "ReadHere", "write_story"]

EVIL = "<script>alert(1)</script>\u202e\u0007 \"'&"
"""HTML, a direction override and a control character."""


class ReadHere:
    """Answers about a journal, without a process of its own. `away`: what every question is refused with."""

    def __init__(self, journal: Path) -> None:
        self._source = {"folders": [str(journal)], "cache": str(journal.parent / "cache")}
        self.questions: list[Mapping[str, Any]] = []
        self.away: CallRefused | None = None

    async def answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        self.questions.append(question)
        if self.away is not None:
            raise self.away
        found = answer({**self._source, **question})
        if (fault := found.get("fault")) is not None:
            raise CallRefused(
                fault["message"], reference=fault["reference"], status=fault["status"], detail=fault["detail"],
                hint=fault["hint"],
            )  # fmt: skip
        return found

    async def aclose(self) -> None: ...


def write_story(visits: Visits, folder: Path, executions: int = 150, extra: list[str] | None = None) -> ReadHere:
    """Write a story, let the API read it, and put its windows into the store."""
    journal = folder / "story"
    write_journal(
        journal, [*JournalStory(executions, people=2, seed=3).lines(), *(extra or [])], segment_lines=10_000
    )
    reader = ReadHere(journal)
    visits.use(audit=reader)
    found = answer(
        {"folders": [str(journal)], "cache": str(folder / "cache"), "ask": "sql", "limit": 1000,
         "query": 'SELECT "window", identity, policy, opened_at, ends_at FROM windows ORDER BY opened_at'}
    )  # fmt: skip
    for name, identity, policy, opened, ends in found["rows"]:
        tid, _, oid = str(identity).partition("/")
        begin, end = (datetime.fromisoformat(str(each)) for each in (opened, ends))
        visits.store.all_windows[name] = Window(
            id=name, identity=IdentityKey(tid, oid), policy=policy, connection="prod", opened_at=begin, ends_at=end,
            retry_at=end, ended_at=end, end_reason="ttl", display="person",
        )  # fmt: skip
    return reader
