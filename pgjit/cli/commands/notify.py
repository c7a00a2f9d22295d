"""`pgjit notify`: send a test message by a channel of the configuration."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pgjit.cli.appearance import CommandHelp, command_group
from pgjit.cli.status import Status

__all__ = ["notify"]


def send(
    channel: Annotated[str, typer.Argument(help="Its name in the configuration, below `notify.channels`.")],
    config: Annotated[Path, typer.Option(help="The configuration file (docs/config.md).")] = Path("pgjit.yaml"),
) -> int:
    """Send one test message by a channel. It is about nothing, and is not kept or repeated."""
    from pgjit.app.notify_commands import send_test
    from pgjit.cli.loop import run_program
    from pgjit.config import load_config

    checked = load_config(config)
    section = checked.file.notify
    if section is None or channel not in section.channels:
        known = "none" if section is None else ", ".join(sorted(section.channels))
        print(f"error: channel `{channel}` is not in {config}; known: {known}", file=sys.stderr)
        return Status.USAGE
    run_program(send_test(checked, section, channel))
    print(f"channel {channel} has sent a test message")
    return Status.OK


notify = command_group(
    "Send a test message by a channel for notifications.",
    "Exit codes: 0 sent, 2 wrong usage, 3 faults in a file, 4 the channel did not send it.",
)


@notify.callback()
def _of_notify() -> None:
    """One subcommand alone would take the group's place."""


notify.command("test", cls=CommandHelp)(send)
