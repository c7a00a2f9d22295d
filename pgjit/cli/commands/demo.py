"""`pgjit demo`: starts a database, an identity provider and the proxy here, with agents and the console."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from pgjit.cli.status import Status

if TYPE_CHECKING:
    import asyncio

    from pgjit.demo.emulator import RegisteredPrincipal
    from pgjit.demo.world import World

__all__ = ["demo"]

_PAUSE = timedelta(seconds=10)
"""Between two windows, instead of the policies' cooldown: a visitor is not kept waiting for half an hour."""


def demo(
    once: Annotated[
        bool,
        typer.Option(
            "--once", help="Play the story, and end. The exit code is 0 only if every step went as expected."
        ),
    ] = False,
    story: Annotated[
        bool, typer.Option("--story", help="Play the story in the terminal first, then open the console.")
    ] = False,
    ttl: Annotated[int, typer.Option(min=8, max=1800, help="Seconds that the story's window lasts.")] = 12,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the proxy; 0 takes a free one.")] = 0,
) -> int:
    """Show pgjit at work: open the link that it prints, approve an agent's request, watch its query run and end.

    An embedded PostgreSQL is the production replica, a local emulator stands in for Entra, and the real psql
    plays the agents. The story (--story, --once) plays in the terminal: an agent alone, in a window that is shortened
    so that you can watch it end, then one whose access a person approves and revokes. Leaves nothing behind.
    """
    from pgjit.cli.loop import run_program

    logging.basicConfig(level=logging.ERROR)
    return run_program(_demo(once=once, story=story or once, ttl=ttl, port=port))


async def _demo(*, once: bool, story: bool, ttl: int, port: int) -> int:
    from pgjit.cli.loop import stop_signal
    from pgjit.demo import by_hand, review_act, window_act
    from pgjit.demo.world import World

    console = Console(highlight=False)
    console.print("[dim]starting a database with a sample shop, an identity provider and the proxy ...[/]")
    stop = stop_signal()
    lengths = {window_act.POLICY: timedelta(seconds=ttl)} if story else {}
    pauses = {by_hand.POLICY: _PAUSE, review_act.POLICY: _PAUSE}
    config = {"api": {"roles": {"admin": [review_act.ADMINS]}}}
    async with World(ttl=lengths, cooldown=pauses, port=port, config=config, console=True) as world:
        person = review_act.add_person(world)
        succeeded = await _play(world, console, person, ttl) if story else True
        if not once:
            await _stay(world, console, person, stop)
    return Status.OK if succeeded else Status.FAILED


async def _play(world: World, console: Console, person: RegisteredPrincipal, ttl: int) -> bool:
    from pgjit.demo import window_act
    from pgjit.demo.story import Story

    console.print(
        f"[dim]policies/{window_act.POLICY}.yaml says ttl: 30m; this story shortens it to {ttl} s (--ttl)[/]"
    )
    story = Story(world, console, person)
    succeeded = await story.play()
    console.print()
    if succeeded:
        console.print("[bold green]Every step went as expected.[/]")
    else:
        console.print(f"[bold red]Not as expected:[/] {'; '.join(story.failures)}")
    return succeeded


async def _stay(world: World, console: Console, person: RegisteredPrincipal, stop: asyncio.Event) -> None:
    """Until somebody stops the demo: agents are at work, and people use the console."""
    import asyncio

    from pgjit.demo import by_hand
    from pgjit.demo.console_act import ConsoleAct
    from pgjit.demo.stage import Stage

    by_hand.write_files(world, person)
    console.print()
    console.print(by_hand.invitation(world, _PAUSE), markup=False, highlight=False, soft_wrap=True)
    console.print()
    working = [
        asyncio.create_task(by_hand.keep_token_fresh(world, person)),
        asyncio.create_task(ConsoleAct(Stage(world, console)).play()),
    ]
    stopping = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([stopping, *working], return_when=asyncio.FIRST_COMPLETED)
    if stopping not in done:
        console.print(f"[bold red]The agents stopped:[/] {[task.exception() for task in done]}")
        await stopping
    for task in working:
        task.cancel()
    await asyncio.gather(*working, return_exceptions=True)
