"""The commands, in the order in which help shows them. Each is imported when it is used, so that help is quick."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["COMMANDS", "Command"]


class Command(NamedTuple):
    module: str
    function: str
    summary: str
    passes_on: bool = False  # the arguments after the first belong to another program
    panel: str = "Commands"  # the panel of help in which it is listed


COMMANDS: dict[str, Command] = {
    "demo": Command(
        "pgjit.cli.commands.demo", "demo", "Show pgjit at work, with a database and identity provider of its own."
    ),
    "serve": Command("pgjit.cli.commands.serve", "serve", "Run the proxy."),
    "check": Command("pgjit.cli.commands.check", "check", "Check a configuration and its policies."),
    "policy": Command("pgjit.cli.commands.policy", "policy", "Check, test and explain policies; list the rules."),
    "catalog": Command(
        "pgjit.cli.commands.catalog", "catalog", "Print the catalog of a connection's server, as JSON."
    ),
    "doctor": Command("pgjit.cli.commands.doctor", "doctor", "Report what the login role of a connection could do."),
    "token": Command("pgjit.cli.commands.token", "token", "Print an access token, for a client's password."),
    "psql": Command("pgjit.cli.commands.psql", "psql", "Run psql on a connection, with a fresh token.", True),
    "exec": Command("pgjit.cli.commands.exec", "run", "Run any client on a connection, with a fresh token.", True),
    "emulator": Command("pgjit.cli.commands.emulator", "emulator", "Run the local Entra emulator, for tests."),
}
