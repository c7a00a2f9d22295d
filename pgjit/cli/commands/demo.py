"""`pgjit demo`: starts a database, an identity provider and the proxy here, and plays the story on them."""

from __future__ import annotations

import logging
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from pgjit.cli.status import Status

if TYPE_CHECKING:
    from pgjit.demo.world import World

__all__ = ["demo"]

_BY_HAND = "analyst-read-only"
_PAUSE = timedelta(seconds=10)


def demo(
    once: Annotated[
        bool,
        typer.Option("--once", help="End after the story. The exit code is 0 only if every step went as expected."),
    ] = False,
    ttl: Annotated[int, typer.Option(min=8, max=1800, help="Seconds that the story's window lasts.")] = 12,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the proxy; 0 takes a free one.")] = 0,
) -> int:
    """Show pgjit at work, from the first connection to the end of a window. Leaves nothing behind.

    An embedded PostgreSQL is the production replica, a local emulator stands in for Entra, and the real psql
    plays the agent. The story's window is shortened so that you can watch it end.
    """
    from pgjit.cli.loop import run_program

    logging.basicConfig(level=logging.ERROR)
    return run_program(_demo(once=once, ttl=ttl, port=port))


async def _demo(*, once: bool, ttl: int, port: int) -> int:
    from pgjit.cli.loop import stop_signal
    from pgjit.demo.story import POLICY, Story
    from pgjit.demo.world import World

    console = Console(highlight=False)
    console.print("[dim]starting a database with a sample shop, an identity provider and the proxy ...[/]")
    stop = stop_signal()
    async with World(ttl={POLICY: timedelta(seconds=ttl)}, cooldown={_BY_HAND: _PAUSE}, port=port) as world:
        console.print(f"[dim]policies/{POLICY}.yaml says ttl: 30m; this story shortens it to {ttl} s (--ttl)[/]")
        story = Story(world, console)
        succeeded = await story.play()
        console.print()
        if succeeded:
            console.print("[bold green]Every step went as expected.[/]")
        else:
            console.print(f"[bold red]Not as expected:[/] {'; '.join(story.failures)}")
        if not once:
            _invite(console, world)
            await stop.wait()
    return Status.OK if succeeded else Status.FAILED


def _invite(console: Console, world: World) -> None:
    """Print how to try it by hand, as a second identity with its own window."""
    from pgjit.demo.world import ANALYSTS

    analyst = world.emulator.add_app("analyst-notebook", groups=[ANALYSTS])
    emulator = world.emulator
    lines = f"""
Try it yourself, as an analyst. Your window opens with your first connection
and lasts 30 min, whatever you do. Then new connections are refused for 10 s
(the policy's cooldown: as long as its window, and shortened for this demo).

export PGJIT_HOST=localhost PGJIT_PORT={world.app.port} PGJIT_SSLROOTCERT={world.certificates.authority}
export PGJIT_EMULATOR={emulator.url} PGJIT_AUDIENCE={emulator.audience}
export AZURE_TENANT_ID={emulator.tenant} AZURE_CLIENT_ID={analyst.client_id}
export AZURE_CLIENT_SECRET={analyst.client_secret}
{sys.executable} -m pgjit psql --psql {world.psql} --policy {_BY_HAND} prod-replica

`{sys.executable} -m pgjit token` prints a token. With that token in PGPASSWORD:

{world.psql} "{world.conninfo(_BY_HAND)}"

The journal grows in {world.journal}
Ctrl-C stops everything and leaves nothing behind.
"""
    console.print(lines, markup=False, highlight=False, soft_wrap=True)
