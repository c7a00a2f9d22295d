"""The story that `pgjit demo` plays with the real psql: two acts, and the journal of both.

Decides their order, and what of the journal is shown. The story fails if a step does not have its expected result.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pgjit.audit.segments import list_segments
from pgjit.demo.emulator import RegisteredPrincipal
from pgjit.demo.review_act import ReviewAct
from pgjit.demo.stage import Stage
from pgjit.demo.window_act import WindowAct
from pgjit.demo.world import World

__all__ = ["Story", "decision_lines", "journal_table"]

Record = dict[str, object]


class Story:
    """`person` reviews requests and may revoke windows."""

    def __init__(self, world: World, console: Console, person: RegisteredPrincipal) -> None:
        self._stage = Stage(world, console)
        self._person = person

    @property
    def failures(self) -> list[str]:
        return self._stage.failures

    async def play(self) -> bool:
        """True if every step had its expected result."""
        await WindowAct(self._stage).play()
        await ReviewAct(self._stage, self._person).play()
        await self._show_journal()
        return not self.failures

    async def _show_journal(self) -> None:
        stage = self._stage
        records = await self._records()
        executions, outcomes = _by_execution(records)
        stage.act("The journal of all this")
        stage.title("What ran", "One record before each execution, one for its outcome; joined here.")
        pids = {each["session"]: each["backend_pid"] for each in records if each["type"] == "session.opened"}
        stage.console.print(journal_table(executions, outcomes, pids))
        stage.expect("every execution has its outcome", all(str(e["execution"]) in outcomes for e in executions))
        stage.expect("the two refused statements are there", sum(e["decision"] == "deny" for e in executions) == 2)
        stage.title("Who decided what", "From the request to the end of its window, with everybody's name.")
        lines = decision_lines(records)
        for line in lines:
            stage.console.print(f"  {line}", markup=False, highlight=False)
        kinds = [line.split()[1] for line in lines]
        expected = ["request.made", "request.verdict", "window.revoked"]
        stage.expect(
            "the request, the verdict and the revocation are there", [k for k in kinds if k in expected] == expected
        )
        stage.title("How it ended", "The server itself reported that the backends are gone.")
        ends = [each.get("proof") for each in records if each["type"] == "session.ended"]
        proofs = [proof for proof in ends if isinstance(proof, dict)]
        for proof in proofs:
            stage.note(f"{str(proof['checked_at'])[11:19]} the backend is gone, {proof['took_ms']} ms after the end")
        if proofs:
            stage.note("the whole proof of the last one:")
            stage.quote(json.dumps(proofs[-1], indent=1))
        stage.expect("there is a proof for each of the two ends", [p["gone"] for p in proofs] == [True, True])

    async def _records(self) -> list[Record]:
        """The records of the journal. Those of people's orders follow a few seconds after the orders."""
        for _ in range(300):
            segments = list_segments(self._stage.world.journal)
            records = [json.loads(line) for segment in segments for line in segment.lines()]
            if any(record["type"] == "window.revoked" for record in records):
                break
            await asyncio.sleep(0.1)
        return records


def journal_table(
    executions: Sequence[Record], outcomes: Mapping[str, Record], pids: Mapping[object, object]
) -> Table:
    """One line for each execution. The statement is cut to the width of the terminal. `pids`: of the sessions."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", expand=True)
    for column, right in (
        ("time", False),
        ("pid", True),
        ("", False),
        ("ended", False),
        ("rows", True),
        ("ms", True),
    ):
        table.add_column(column, no_wrap=True, overflow="fold", justify="right" if right else "left")
    table.add_column("statement", no_wrap=True, overflow="ellipsis", ratio=1)
    for execution in executions:
        outcome = outcomes.get(str(execution["execution"]), {})
        denied = execution["decision"] == "deny"
        table.add_row(
            str(execution["time"])[11:19],
            str(pids.get(str(execution["execution"]).partition("/")[0], "?")),
            "[red]deny[/]" if denied else "[green]allow[/]",
            str(outcome.get("ended", "?")),
            str(outcome.get("rows", "?")),
            str(int(str(outcome.get("duration_us", 0))) // 1000),
            escape(" ".join(str(execution["statement"]).split())),
        )
    return table


def decision_lines(records: Sequence[Record]) -> list[str]:
    """A line for each record about a request or a window, in order of time: its type, who, and why."""
    return [
        f"{str(record['time'])[11:19]} {record['type']:<16} {_actor(record)}: {_why(record)}"
        for record in sorted(records, key=lambda record: str(record["time"]))
        if str(record["type"]).startswith(("request.", "window."))
    ]


def _actor(record: Record) -> str:
    """Who did it: the person of a verdict or a revocation, otherwise the identity that the record is about."""
    by = record.get("by") or record["identity"]
    assert isinstance(by, dict)
    return str(by.get("display") or "pgjit")


def _why(record: Record) -> str:
    verdict = record.get("verdict") or record.get("state")
    reason = record.get("comment") or (record.get("reason") if verdict is None else None)
    return ", ".join(str(each) for each in (verdict, reason) if each) or str(record["policy"])


def _by_execution(records: Sequence[Record]) -> tuple[list[Record], dict[str, Record]]:
    """Executions in order, and outcomes by execution."""
    executions = [record for record in records if record["type"] == "execution"]
    outcomes = {str(record["execution"]): record for record in records if record["type"] == "outcome"}
    return executions, outcomes
