"""Statements that are nested, long or not ASCII: answered or refused, nothing falls over, and nobody waits for them.

In process, on stacks as small as any thread's; and through a live session, while the calls are counted that the
proxy's thread makes before its event loop gets to what else is due: so long would the others have waited.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from pgjit.demo.database import DemoDatabase
from tests.e2e.loose import Line, open_loose
from tests.e2e.worlds import add_reader
from tests.run.processes import finish
from tests.run.work import Turns

MOST_CALLS = 100_000
"""Of functions in one go: some 20 ms."""
LARGE = 16 * 1024


def nested(opening: str, inner: str, closing: str, times: int) -> str:
    return "SELECT " + opening * times + inner + closing * times


# What made a parser's own tree, or who walked it, fall over: as long as it was then.
LONG = {
    "terms": "SELECT 1" + "+1" * 24_100,
    "casts": "SELECT 1" + "::int" * 32_800,
    "unions": "SELECT 1" + " UNION ALL SELECT 1" * 15_600,
    "joins": "SELECT 1 FROM a" + " JOIN a ON true" * 24_000,
    "concatenations": "SELECT 'a'" + "||'a'" * 24_000,
    "collations": "SELECT 'a'" + ' COLLATE "C"' * 32_800,
    "null tests": "SELECT 1" + " IS NULL" * 27_800,
    "negations": "SELECT " + "NOT " * 10_000 + "true",
    "signs": "SELECT " + "- " * 20_000 + "1",
    "parentheses": nested("(", "1", ")", 10_000),
    "calls": nested("abs(", "1", ")", 10_000),
    "cases": nested("CASE WHEN true THEN ", "1", " END", 5_000),
    "arrays": nested("ARRAY[", "1", "]", 10_000),
    "subqueries": nested("(SELECT ", "1", ")", 10_000),
    "queries of queries": "SELECT * FROM " + "(SELECT * FROM " * 5_000 + "a" + ") x" * 5_000,
    "conditions": "SELECT 1 WHERE true" + " AND true" * 50_000,
    "a list": "SELECT 1 WHERE 1 IN (1" + ",1" * 50_000 + ")",
    "fields": "SELECT a" + ".b" * 50_000,
    "columns before a character": "SELECT a" + ",a" * 40_000 + ",'" + "é" * 40 + "'",
    "a text": "SELECT '" + "é" * 100_000 + "'",
    "an astral text": "SELECT '" + "\U0001f40d" * 50_000 + "'",
    "indices": "SELECT a" + "[1]" * 30_000,
    "comments": "SELECT 1" + "/*" * 50_000,
    "closed comments": "SELECT 1" + "/*" * 30_000 + "*/" * 30_000,
    "dollars": "SELECT $" + "a" * 100_000 + "$x",
    "quotes": "SELECT '" + "''" * 50_000,
    "statements": "SELECT 1;" * 20_000,
    "semicolons": ";" * 100_000,
    "a name": 'SELECT "' + "é" * 60_000 + '"',
    "a number": "SELECT " + "9" * 100_000,
    "spaces": " " * 200_000 + "SELECT 1",
    "queries with": "WITH " + ", ".join(f"c{n} AS (SELECT 1)" for n in range(5_000)) + " SELECT 1",
    "common queries inside": "WITH a AS (" * 2_000 + "SELECT 1" + ") SELECT 1" * 2_000,
    "windows": "SELECT " + ", ".join("sum(1) OVER (ORDER BY a)" for _ in range(4_000)),
}  # fmt: skip


def just_below(text: str) -> str:
    """A part of it, mended so that it may parse."""
    return text.encode()[: LARGE - 1].decode("utf-8", "ignore")


SHORT = {
    "terms": "SELECT 1" + "+1" * 8_100,
    "casts": "SELECT 1" + "::int" * 3_200,
    "unions": "SELECT 1" + " UNION ALL SELECT 1" * 850,
    "joins": "SELECT 1 FROM a" + " JOIN a ON true" * 1_000,
    "parentheses": nested("(", "1", ")", 8_000),
    "calls": nested("abs(", "1", ")", 3_200),
    "cases": nested("CASE WHEN true THEN ", "1", " END", 660),
    "subqueries": nested("(SELECT ", "1", ")", 1_700),
    "conditions": "SELECT 1 WHERE true" + " AND true" * 1_800,
    "columns before a character": "SELECT a" + ",a" * 8_100 + ",'éé'",
    "a text": "SELECT '" + "é" * 8_000 + "'",
    "a hundred statements": "SELECT 1+1+1+1+1+1;" * 100,
    "many statements": "SELECT 1;" * 1_800,
}  # fmt: skip
ALL = LONG | {f"short {name}": text for name, text in SHORT.items()} | {
    f"cut {name}": just_below(text) for name, text in LONG.items()
}  # fmt: skip

# Long in breadth, and costly, nine tenths of the work of all: they need no deep stack. A live session sends them too.
BROAD = {
    "columns before a character", "queries with", "conditions", "a list", "indices", "fields", "statements",
    "windows",
}  # fmt: skip

JUDGE = """
import sys, threading
from pgjit.policy.load import load_policies
from pgjit.judging.judge import assess
from pathlib import Path
from tests.e2e.test_stalls import ALL
policy = load_policies(Path(sys.argv[1]))[0]["read-only"]
def judge():
    for name in sys.argv[3:]:
        text = ALL[name]
        judged = assess(policy, text.encode(), 1 << 24)
        print(name, [found.rule for found in judged.violations][:1], sep=": ")
threading.stack_size(int(sys.argv[2]))
thread = threading.Thread(target=judge)
thread.start()
thread.join()
print("all of them")
"""


assert set(LONG) > BROAD

# Sent as a query and as a prepared statement in each run: of those that are judged on the event loop, the short ones.
TWICE = {*LONG, *(f"short {name}" for name in SHORT)} - BROAD


@pytest.mark.parametrize(
    ("stack", "names"),
    [
        pytest.param(256 * 1024, set(ALL) - BROAD | {"fields"}, id="a small stack"),
        pytest.param(8 * 1024 * 1024, set(ALL) - BROAD, id="a large stack"),
        pytest.param(256 * 1024, BROAD, id="a small stack, in breadth", marks=pytest.mark.slow),
        pytest.param(8 * 1024 * 1024, BROAD, id="a large stack, in breadth", marks=pytest.mark.slow),
    ],
)
def test_a_process_judges_all_of_them_and_lives(stack: int, names: set[str]) -> None:
    top = Path(__file__).parents[2]
    done = finish(sys.executable, "-c", JUDGE, top / "policies", str(stack), *sorted(names), cwd=top, seconds=100)
    assert done.status == 0, done.err[-2000:]
    assert done.out.splitlines()[-1] == "all of them"
    assert len(done.out.splitlines()) == len(names) + 1
    assert "unjudgeable" not in done.out


@pytest.mark.parametrize(
    "extended",
    [
        pytest.param(TWICE, id="many of them twice"),
        pytest.param(set(ALL), id="all of them twice", marks=pytest.mark.slow),
    ],
)
async def test_no_statement_keeps_the_others_waiting(
    extended: set[str], loose_database: DemoDatabase, tmp_path: Path
) -> None:
    worst: dict[str, int] = {}
    async with open_loose(loose_database, tmp_path) as world:
        line = await asyncio.to_thread(Line.through, world, await world.token(add_reader(world)))
        await asyncio.to_thread(line.simple, LONG["casts"])  # the processes that judge start at the first
        for name, text in ALL.items():
            for send in (line.simple, line.extended) if name in extended else (line.simple,):
                with Turns() as turns:
                    assert await asyncio.to_thread(send, text), name
                assert line.alive, name
                worst[name] = max(turns.worst, worst.get(name, 0))
        [result] = await asyncio.to_thread(line.simple, "SELECT 'alive'")
        assert result.get_value(0, 0) == b"alive"
        line.close()
    assert {name: most for name, most in worst.items() if most > MOST_CALLS} == {}
    assert max(worst.values()) > 100  # they were counted
