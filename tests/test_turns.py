"""How the work of many sessions shares the event loop: a few in each turn, in order, and as many as keep it short."""

from __future__ import annotations

import asyncio

import pytest

from pgjit.turns import Turns, call_in_turn, in_pieces, take_turn


class Cpu:
    """A clock of CPU time: each piece of work takes so long."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.now = 0.0
        self.seconds = seconds

    def __call__(self) -> float:
        return self.now

    def work(self) -> None:
        self.now += self.seconds


async def _pieces_of_turns(turns: Turns, cpu: Cpu, number: int) -> list[int]:
    """Do so many pieces of work at once. How many were done in each turn of the loop."""
    done = 0
    pieces: list[int] = []

    async def one() -> None:
        nonlocal done
        await turns.take()
        cpu.work()
        done += 1

    tasks = [asyncio.create_task(one()) for _ in range(number)]
    while done < number:
        before = done
        await asyncio.sleep(0)
        pieces.append(done - before)
    await asyncio.gather(*tasks)
    return pieces


async def test_few_do_not_wait() -> None:
    assert await _pieces_of_turns(Turns(), Cpu(), 5) == [5]


async def test_of_many_a_few_go_on_in_each_turn_and_all_of_them_in_the_end() -> None:
    pieces = await _pieces_of_turns(Turns(), Cpu(), 1_000)
    assert sum(pieces) == 1_000
    assert max(pieces) <= 32
    assert pieces[0] == 8


async def test_after_long_turns_fewer_go_on_and_never_fewer_than_four() -> None:
    cpu = Cpu(0.02)
    pieces = [each for each in await _pieces_of_turns(Turns(cpu), cpu, 60) if each]
    assert pieces[-6:-1] == [4] * 5
    cpu.seconds = 0.0


async def test_after_short_turns_more_go_on() -> None:
    cpu = Cpu(0.02)
    turns = Turns(cpu)
    await _pieces_of_turns(turns, cpu, 60)
    cpu.seconds = 0.0
    pieces = await _pieces_of_turns(turns, cpu, 1_000)
    assert max(pieces) == 32


async def test_they_go_on_in_order_and_one_that_was_cancelled_holds_up_no_other() -> None:
    turns, order = Turns(), list[int]()

    async def one(number: int) -> None:
        await turns.take()
        order.append(number)

    tasks = [asyncio.create_task(one(number)) for number in range(40)]
    await asyncio.sleep(0)
    tasks[20].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == [number for number in range(40) if number != 20]


async def test_what_ends_a_session_comes_before_all_else() -> None:
    turns, order = Turns(), list[str]()

    async def one(name: str, *, ends: bool) -> None:
        await turns.take(ends=ends)
        order.append(name)

    logins = [asyncio.create_task(one("login", ends=False)) for _ in range(100)]
    await asyncio.sleep(0)
    ends = [asyncio.create_task(one("end", ends=True)) for _ in range(20)]
    await asyncio.gather(*logins, *ends)
    assert order[:8] == ["login"] * 8, "those had room at once"
    assert order.index("end") <= 16
    assert order[order.index("end") :][:20] == ["end"] * 20


async def test_a_call_that_fails_keeps_no_other_from_its_turn() -> None:
    reported: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["message"]))
    turns, done = Turns(), list[int]()

    def call(number: int) -> None:
        done.append(number)
        if number == 15:
            raise ValueError

    for number in range(20):
        turns.call(lambda number=number: call(number))  # type: ignore[misc]
    assert done == list(range(8))
    while len(done) < 20:
        await asyncio.sleep(0)
    assert done == list(range(20))
    assert reported == ["work that had waited for its turn has failed"]


@pytest.mark.parametrize("_again", [1, 2])
async def test_each_event_loop_has_its_own_turns(_again: int) -> None:
    done: list[int] = []
    for number in range(20):
        call_in_turn(lambda number=number: done.append(number))  # type: ignore[misc]
    await take_turn()
    assert done == list(range(20))


async def test_between_pieces_all_others_get_the_loop() -> None:
    seen: list[int | str] = []

    async def other() -> None:
        while len(seen) < 50:
            seen.append("other")
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    async for number in in_pieces(range(45)):
        seen += [number]
    await task
    assert seen[:47] == [*range(20), "other", *range(20, 40), "other", *range(40, 45)]
