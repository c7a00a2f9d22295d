"""What the agents of the demo do while a person uses the console: one reads, others ask one after the other.

Decides what they do, and which of it is printed. It goes on until it is cancelled: whoever reviews takes their time.
An agent whose request was refused, or whose window is over, may not come back for a while: the next one asks then.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from rich.markup import escape

from pgjit.demo import by_hand, review_act
from pgjit.demo.stage import Stage
from pgjit.demo.window_act import LONG_QUERY
from pgjit.demo.world import ANALYSTS, MIGRATIONS

__all__ = ["ConsoleAct", "news_of"]

_WAIT = timedelta(seconds=100)  # for a verdict; then the agent connects anew
_PAUSE = 3.0
_PROMPT = 2.0  # seconds; a login without an answer by then waits for a person
_ASKS = "asks for access to prod-primary, and waits for a person"
_READS = (
    "SELECT id, name, email FROM customers ORDER BY id LIMIT 20",
    "SELECT date_trunc('month', ordered_at)::date AS month, count(*) FROM orders GROUP BY 1 ORDER BY 1",
    "UPDATE customers SET email = 'x@example.com'",
    "SELECT count(*) FROM payments",
)
_WORK = (
    "SHOW pgjit.remaining",
    review_act.WRITE,
    "DELETE FROM customers",
    LONG_QUERY,
)
_ENDED, _REFUSED = "its window is over", "its request was refused"
_NEWS = (
    (re.compile(r"^INSERT 0 1"), "approved: it works now, and begins a query that would run for hours"),
    (re.compile(r"^ERROR:.*canceling statement"), "its query was stopped"),
    (re.compile(r"^FATAL:.*(revoked|is over|may be requested from)"), _ENDED),
    (re.compile(r"^FATAL:.*refused"), _REFUSED),
    (re.compile(r"^FATAL:.*is locked"), "a lock bars it"),
)


def news_of(line: str) -> str | None:
    """What a line of the agent's psql means for somebody who watches; None: nothing new."""
    bare = line.removeprefix("psql: ").removeprefix("error: ")
    bare = bare[max(bare.find("FATAL:"), 0) :]
    return next((text for pattern, text in _NEWS if pattern.search(bare)), None)


@dataclass(slots=True)
class ConsoleAct:
    stage: Stage
    said: list[str] = field(default_factory=list)

    async def play(self) -> None:
        """Until it is cancelled."""
        world = self.stage.world
        reader = world.emulator.add_app("report-agent", groups=[ANALYSTS])
        await self.stage.run_psql(by_hand.POLICY, await world.token(reader), *_READS)
        for number in itertools.count(1):
            await self._work(f"migration-agent-{number}")

    async def _work(self, name: str) -> None:
        """Play one agent, from its request to the end of its window."""
        world = self.stage.world
        agent = world.emulator.add_app(name, groups=[MIGRATIONS])
        news: set[str] = set()
        while not news & {_ENDED, _REFUSED}:
            news |= await self._connect(name, await world.token(agent))
            await asyncio.sleep(_PAUSE)

    async def _connect(self, name: str, token: str) -> set[str]:
        """One session. What was new in it."""
        options = f"-c pgjit.reason='{review_act.REASON}' -c pgjit.wait={_WAIT.total_seconds():.0f}s"
        waits = asyncio.get_running_loop().call_later(_PROMPT, self._say, name, _ASKS)
        found = set()
        try:
            async for line in self._lines(token, options):
                waits.cancel()
                if news := news_of(line):
                    found.add(news)
                    self._say(name, news)
        finally:
            waits.cancel()
        return found

    async def _lines(self, token: str, options: str) -> AsyncIterator[str]:
        program, settings = self.stage.psql_call(
            review_act.POLICY,
            token,
            *_WORK,
            connection="prod-primary",
            options=options,
            seconds=int(_WAIT.total_seconds()) + 20,
        )
        async for line in self.stage.lines(program, settings):
            yield line

    def _say(self, name: str, text: str) -> None:
        line = f"{name} {text}" if text == _ASKS else f"{name}: {text}"
        if self.said[-1:] == [line]:
            return
        self.said.append(line)
        self.stage.console.print(f"  [dim]{datetime.now(UTC):%H:%M:%S}[/] {escape(line)}", soft_wrap=True)
