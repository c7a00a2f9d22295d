"""`pgjit demo`: starts a database, an identity provider and the proxy here, and plays the story on them."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Annotated

import typer
from rich.console import Console

from pgjit.cli.status import Status

__all__ = ["demo"]

_PAUSE = timedelta(seconds=10)
"""Between two windows, instead of the policies' cooldown: a visitor is not kept waiting for half an hour."""


def demo(
    once: Annotated[
        bool,
        typer.Option("--once", help="End after the story. The exit code is 0 only if every step went as expected."),
    ] = False,
    ttl: Annotated[int, typer.Option(min=8, max=1800, help="Seconds that the story's window lasts.")] = 12,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the proxy; 0 takes a free one.")] = 0,
) -> int:
    """Show pgjit at work: an agent alone, then an agent whose access a person approves and revokes.

    An embedded PostgreSQL is the production replica, a local emulator stands in for Entra, and the real psql
    plays the agents. The first window is shortened so that you can watch it end. Leaves nothing behind.
    """
    from pgjit.cli.loop import run_program

    logging.basicConfig(level=logging.ERROR)
    return run_program(_demo(once=once, ttl=ttl, port=port))


async def _demo(*, once: bool, ttl: int, port: int) -> int:
    import asyncio

    from pgjit.cli.loop import stop_signal
    from pgjit.demo import by_hand, review_act, window_act
    from pgjit.demo.story import Story
    from pgjit.demo.world import World

    console = Console(highlight=False)
    console.print("[dim]starting a database with a sample shop, an identity provider and the proxy ...[/]")
    stop = stop_signal()
    lengths = {window_act.POLICY: timedelta(seconds=ttl)}
    pauses = {by_hand.POLICY: _PAUSE, review_act.POLICY: _PAUSE}
    config = {"api": {"roles": {"admin": [review_act.ADMINS]}}}
    async with World(ttl=lengths, cooldown=pauses, port=port, config=config) as world:
        console.print(
            f"[dim]policies/{window_act.POLICY}.yaml says ttl: 30m; this story shortens it to {ttl} s (--ttl)[/]"
        )
        person = review_act.add_person(world)
        story = Story(world, console, person)
        succeeded = await story.play()
        console.print()
        if succeeded:
            console.print("[bold green]Every step went as expected.[/]")
        else:
            console.print(f"[bold red]Not as expected:[/] {'; '.join(story.failures)}")
        if not once:
            by_hand.write_files(world, person)
            console.print()
            console.print(by_hand.invitation(world, _PAUSE), markup=False, highlight=False, soft_wrap=True)
            renewing = asyncio.create_task(by_hand.keep_token_fresh(world, person))
            await stop.wait()
            renewing.cancel()
    return Status.OK if succeeded else Status.FAILED
