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


_PEOPLE = "Requests and windows (by the API)"

COMMANDS: dict[str, Command] = {
    "demo": Command(
        "pgjit.cli.commands.demo", "demo", "Show pgjit at work, with a database and identity provider of its own."
    ),
    "serve": Command("pgjit.cli.commands.serve", "serve", "Run the proxy."),
    "check": Command("pgjit.cli.commands.check", "check", "Check a configuration and its policies."),
    "store": Command("pgjit.cli.commands.store", "store", "Check the window store; bring its schema up to date."),
    "policy": Command("pgjit.cli.commands.policy", "policy", "Check, test and explain policies; list the rules."),
    "notify": Command("pgjit.cli.commands.notify", "notify", "Send a test message by a channel for notifications."),
    "audit": Command("pgjit.cli.commands.audit", "audit", "Read the journal, and check that it was not changed."),
    "catalog": Command(
        "pgjit.cli.commands.catalog", "catalog", "Print the catalog of a connection's server, as JSON."
    ),
    "doctor": Command("pgjit.cli.commands.doctor", "doctor", "Examine the installation, or a login role."),
    "token": Command("pgjit.cli.commands.token", "token", "Print an access token, for a client's password."),
    "psql": Command("pgjit.cli.commands.psql", "psql", "Run psql on a connection, with a fresh token.", True),
    "exec": Command("pgjit.cli.commands.exec", "run", "Run any client on a connection, with a fresh token.", True),
    "request": Command("pgjit.cli.commands.request", "request", "Request access under a policy.", panel=_PEOPLE),
    "requests": Command("pgjit.cli.commands.requests", "requests", "List requests, or show one.", panel=_PEOPLE),
    "approve": Command("pgjit.cli.commands.verdicts", "approve", "Approve a request.", panel=_PEOPLE),
    "refuse": Command("pgjit.cli.commands.verdicts", "refuse", "Refuse a request.", panel=_PEOPLE),
    "withdraw": Command("pgjit.cli.commands.verdicts", "withdraw", "Withdraw your own request.", panel=_PEOPLE),
    "windows": Command("pgjit.cli.commands.windows", "windows", "List windows, or show one.", panel=_PEOPLE),
    "sessions": Command("pgjit.cli.commands.windows", "sessions", "List the live sessions.", panel=_PEOPLE),
    "revoke": Command("pgjit.cli.commands.revoke", "revoke", "Revoke windows and end their sessions.", panel=_PEOPLE),
    "kill": Command("pgjit.cli.commands.revoke", "kill", "End one session.", panel=_PEOPLE),
    "lock": Command("pgjit.cli.commands.locks", "lock", "End what is open, and let nothing open.", panel=_PEOPLE),
    "unlock": Command("pgjit.cli.commands.locks", "unlock", "Lift a lock.", panel=_PEOPLE),
    "locks": Command("pgjit.cli.commands.locks", "locks", "List the locks that hold.", panel=_PEOPLE),
    "sign-off": Command("pgjit.cli.commands.verdicts", "sign_off", "Sign off a break-glass window.", panel=_PEOPLE),
    "reload": Command("pgjit.cli.commands.reload", "reload", "Read the configuration again.", panel=_PEOPLE),
    "access": Command("pgjit.cli.commands.access", "access", "Show what a group may do now.", panel=_PEOPLE),
    "emulator": Command("pgjit.cli.commands.emulator", "emulator", "Run the local Entra emulator, for tests."),
}
