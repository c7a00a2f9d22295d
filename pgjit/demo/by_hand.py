"""How a visitor tries the running demo by hand: one file to source as the agent, and one as the person on call.

Decides what the two files set. Their commands `pgjit` and `psql` are those of the demo, whatever is installed.
"""

from __future__ import annotations

import asyncio
import shlex
import sys
from datetime import timedelta
from pathlib import Path

from pgjit.demo import review_act
from pgjit.demo.emulator import AppCredentials, RegisteredPrincipal
from pgjit.demo.world import ANALYSTS, MIGRATIONS, World

__all__ = ["POLICY", "invitation", "keep_token_fresh", "write_files"]

POLICY = "analyst-read-only"
_RENEW_EVERY = timedelta(minutes=10)
"""A token of the emulator is valid for about an hour."""


def invitation(world: World, pause: timedelta) -> str:
    """What to open, and what to type. `pause` is the time between two windows, which the demo shortens."""
    return f"""\
Open this link, and sign in as Ana:

    {world.console_url}

An agent is asking for access. Approve it under Requests, watch its query under Live,
and stop it, or let its limits stop it. Audit has all that ran.
The browser warns once, of the certificate that the demo has made for pgjit. The sign-in page is the demo's
own, on this machine, and has no TLS.

The same in terminals. As an agent:

    . {world.folder}/agent.sh
    pgjit psql --policy {POLICY} prod-replica
    pgjit psql --policy {review_act.POLICY} prod-primary      # waits for a person

As Ana:

    . {world.folder}/person.sh
    pgjit requests --state pending
    pgjit windows --watch
    pgjit revoke --all --reason 'enough for today'

What is over opens again after {pause.total_seconds():.0f} s: the policies' cooldown, shortened for this demo.
The journal grows in {world.journal}
Ctrl-C stops everything and leaves nothing behind."""


def write_files(world: World, person: RegisteredPrincipal) -> None:
    """Write `agent.sh` and `person.sh` into the world's folder."""
    programs = world.folder / "bin"
    programs.mkdir()
    _write(programs / "pgjit", f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m pgjit "$@"\n', mode=0o700)
    (programs / "psql").symlink_to(world.psql)
    path = {"PATH": f"{programs}:$PATH"}
    agent = world.emulator.add_app("agent-by-hand", groups=[ANALYSTS, MIGRATIONS])
    _write(world.folder / "agent.sh", _exports(path | _agent_settings(world, agent)))
    token = {"PGJIT_TOKEN": f"$(cat {_token_file(world)})"}
    _write(world.folder / "person.sh", _exports(path | world.api_settings | token))
    _write_token(world, person)


async def keep_token_fresh(world: World, person: RegisteredPrincipal) -> None:
    """Renew the person's token until it is cancelled: sourcing `person.sh` again reads it."""
    while True:
        await asyncio.sleep(_RENEW_EVERY.total_seconds())
        _write_token(world, person)


def _agent_settings(world: World, agent: AppCredentials) -> dict[str, str]:
    return {
        "PGJIT_HOST": "localhost",
        "PGJIT_PORT": str(world.app.port),
        "PGJIT_SSLROOTCERT": str(world.certificates.authority),
        "PGJIT_EMULATOR": world.emulator.url,
        "PGJIT_AUDIENCE": world.emulator.audience,
        "AZURE_TENANT_ID": world.emulator.tenant,
        "AZURE_CLIENT_ID": agent.client_id,
        "AZURE_CLIENT_SECRET": agent.client_secret,
        "PGOPTIONS": "-c pgjit.reason='trying the demo'",
    }


def _exports(settings: dict[str, str]) -> str:
    return "".join(f'export {name}="{value}"\n' for name, value in settings.items())


def _token_file(world: World) -> Path:
    return world.folder / "person-token"


def _write_token(world: World, person: RegisteredPrincipal) -> None:
    _write(_token_file(world), world.people_token(person))


def _write(path: Path, text: str, mode: int = 0o600) -> None:
    path.touch(mode=mode)
    path.write_text(text)
