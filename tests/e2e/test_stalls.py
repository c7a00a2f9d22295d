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
from tests.e2e.long_statements import ALL, BROAD, LONG, SHORT
from tests.e2e.loose import Line, open_loose
from tests.e2e.worlds import add_reader
from tests.run.processes import finish
from tests.run.work import Turns

MOST_CALLS = 100_000
"""Calls of functions in one turn of the loop: some 20 ms."""


JUDGE = """
import sys, threading
from pgjit.policy.load import load_policies
from pgjit.judging.judge import assess
from pathlib import Path
from tests.e2e.long_statements import ALL
policy = load_policies(Path(sys.argv[1]))[0]["read-only"]
def judge():
    for name in sys.argv[3:]:
        text = ALL[name]
        judged = assess(policy, text.encode(), 1 << 24)
        print(name, [found.rule for found in judged.violations][:1], sep=": ", flush=True)
for stack in sys.argv[2].split(","):
    threading.stack_size(int(stack))
    print("stack", stack, flush=True)
    thread = threading.Thread(target=judge)
    thread.start()
    thread.join()
print("all of them")
"""


assert set(LONG) > BROAD

STACKS = f"{256 * 1024},{8 * 1024 * 1024}"
"""A small one, and a large one, of a thread each."""

# Sent as a query and as a prepared statement in each run: of those that are judged on the event loop, the short ones.
# The others are judged by another process, which does not know how they were sent: a few show that they get there.
COSTLY = {"columns before a character", "queries with"}  # half of the work of all
TWICE = {"casts", "joins", "a text", "comments", "statements", *(f"short {name}" for name in SHORT)}


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(set(ALL) - BROAD | {"fields"}, id="deep or short"),
        pytest.param(BROAD, id="in breadth", marks=pytest.mark.slow),
    ],
)
def test_a_process_judges_all_of_them_and_lives(names: set[str]) -> None:
    top = Path(__file__).parents[2]
    done = finish(sys.executable, "-c", JUDGE, top / "policies", STACKS, *sorted(names), cwd=top, seconds=200)
    assert done.status == 0, (done.out.splitlines()[-1:], done.err[-2000:])
    assert done.out.splitlines()[-1] == "all of them"
    assert len(done.out.splitlines()) == 2 * (len(names) + 1) + 1
    assert "unjudgeable" not in done.out


@pytest.mark.parametrize(
    ("names", "extended"),
    [
        pytest.param(set(ALL) - COSTLY, TWICE, id="some of them twice"),
        pytest.param(set(ALL), set(ALL), id="all of them twice", marks=pytest.mark.slow),
    ],
)
async def test_no_statement_keeps_the_others_waiting(
    names: set[str], extended: set[str], loose_database: DemoDatabase, tmp_path: Path
) -> None:
    worst: dict[str, int] = {}
    async with open_loose(loose_database, tmp_path) as world:
        line = await asyncio.to_thread(Line.through, world, await world.token(add_reader(world)))
        await asyncio.to_thread(line.simple, LONG["casts"])  # the processes that judge start at the first
        for name in sorted(names):
            text = ALL[name]
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
