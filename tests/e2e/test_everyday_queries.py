"""Harmless questions run under `access: read-only`, and what is refused of them is refused for a reason."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path

from psycopg import pq

from pgjit.demo.database import DemoDatabase
from pgjit.sql.parse import read_message
from tests.e2e.everyday import FIXTURES, direct_conninfo, extensions_of, open_everyday
from tests.e2e.loose import Line, refusal
from tests.e2e.worlds import add_reader

_REFUSED = re.compile(r"-- refused by ([a-z-]+): \S")
_NEEDS = re.compile(r"-- needs (.+)")


@dataclass(frozen=True)
class Question:
    sql: str
    refused: str | None
    needs: frozenset[str]


def questions() -> list[Question]:
    found = []
    for paragraph in (FIXTURES / "queries.sql").read_text("utf-8").split("\n\n")[1:]:
        lines = paragraph.strip().splitlines()
        told = "\n".join(line for line in lines if line.startswith("--"))
        sql = "\n".join(line for line in lines if not line.startswith("--"))
        refused, needs = _REFUSED.search(told), _NEEDS.search(told)
        needed = frozenset(needs[1].split(", ")) if needs else frozenset[str]()
        found.append(Question(sql, refused[1] if refused else None, needed))
    return found


def outcome(results: list[pq.abc.PGresult]) -> list[bytes | list[bytes | None] | None]:
    """The columns of each result, or its command tag; the SQLSTATE of an error."""
    seen: list[bytes | list[bytes | None] | None] = []
    for result in results:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            seen.append(result.error_field(pq.DiagnosticField.SQLSTATE))
        else:
            seen.append([result.command_status, *(result.fname(at) for at in range(result.nfields))])
    return seen


def ways_of(question: Question) -> list[str]:
    return ["simple"] if len(read_message(question.sql).statements) > 1 else ["simple", "extended"]


def ask(question: Question, line: Line, direct: Line) -> list[str]:
    """What is not as it has to be."""
    faults = []
    for way in ways_of(question):
        ask_through, ask_direct = (
            (line.simple, direct.simple) if way == "simple" else (line.extended, direct.extended)
        )
        through = ask_through(question.sql)
        found = refusal(through)
        if question.refused is not None:
            if found is None or found[1] != f"pgjit:{question.refused}":
                faults.append(f"{question.sql} ({way}): refused as {found}, not by {question.refused}")
            continue
        wanted = outcome(ask_direct(question.sql))
        if outcome(through) != wanted:
            faults.append(f"{question.sql} ({way}): {found}, {outcome(through)} and not {wanted}")
    return faults


async def test_a_question_that_only_reads_gets_the_servers_own_answer_or_a_refusal_with_a_reason(
    everyday_database: DemoDatabase, tmp_path: Path
) -> None:
    available = await extensions_of(everyday_database)
    asked = [question for question in questions() if question.needs <= available]
    assert len(asked) > 200
    async with open_everyday(everyday_database, tmp_path) as world:
        line = await asyncio.to_thread(Line.through, world, await world.token(add_reader(world)))
        direct = await asyncio.to_thread(Line, direct_conninfo(everyday_database))
        await asyncio.to_thread(direct.simple, "SET default_transaction_read_only = on")
        faults = []
        for question in asked:
            faults += await asyncio.to_thread(ask, question, line, direct)
        line.close()
        direct.close()
    assert faults == []
