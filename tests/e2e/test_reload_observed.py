"""A policy that is changed to `mode: observe`: what it would have refused is on record, whenever it was prepared."""

from __future__ import annotations

import asyncio

from pgjit.demo.world import World
from tests.e2e.loose import Line, refusal
from tests.e2e.reloading import edit_policy, reload
from tests.e2e.worlds import add_reader, records

_DENIED = "  deny:\n    - columns: [customers.email]\n"
_RULES = "statements:\n  access: read-only\n"
_QUESTION = "SELECT email FROM customers ORDER BY id"


def _prepare(line: Line) -> None:
    for name, sql in (("p", _QUESTION), ("e", "EXECUTE s")):
        assert refusal(line.prepare_named(name, sql)) is None
    for sql in (f"PREPARE s AS {_QUESTION}", f"DECLARE c CURSOR WITH HOLD FOR {_QUESTION}"):
        assert refusal(line.simple(sql)) is None


def _run(line: Line) -> None:
    for result in (
        line.run_named("p"), line.run_named("e"), line.simple("EXECUTE s"), line.simple("FETCH 1 FROM c"),
        line.simple("EXPLAIN ANALYZE EXECUTE s"), line.simple("FETCH 1 FROM c"), line.run_named("p"),
    ):  # fmt: skip
        assert refusal(result) is None


def _observed(world: World, since: int) -> list[bool]:
    """For each execution since then whether a violation is on record."""
    return [bool(each.get("violations")) for each in records(world, "execution")[since:]]


async def test_what_was_prepared_before_is_observed_by_the_rules_of_now(world: World) -> None:
    line = await asyncio.to_thread(Line.through, world, await world.token(add_reader(world)))
    try:
        await asyncio.to_thread(_prepare, line)
        for old, new, observed in (
            (_RULES, "mode: observe\n" + _RULES + _DENIED, True),
            (_DENIED, "", False),
        ):
            edit_policy(world, "reader", old, new)
            assert (await reload(world)).sessions_following == 1
            before = len(records(world, "execution"))
            await asyncio.to_thread(_run, line)
            assert _observed(world, before) == [observed] * 7
    finally:
        await asyncio.to_thread(line.close)
