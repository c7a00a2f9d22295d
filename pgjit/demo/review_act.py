"""The second act: an agent meets `grant: review`, a person approves, and revokes while a write is running."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from pgjit.demo.emulator import PrincipalKind, RegisteredPrincipal
from pgjit.demo.stage import Stage
from pgjit.demo.world import MIGRATIONS, REVIEWERS, World

__all__ = ["ADMINS", "POLICY", "ReviewAct", "add_person"]

ADMINS = "d2e3f4a5-1b6c-4d7e-9f80-a1b2c3d4e5f6"

POLICY = "orders-migration"
REASON = "note on order 17, ticket OPS-4711"
WRITE = "INSERT INTO notes (note) VALUES ('order 17: shipped twice')"
# The sub-select is a join without a condition: it would take hours.
LONG_WRITE = (
    "DELETE FROM notes WHERE id > 0 AND id < (SELECT count(*) FROM order_lines a, order_lines b, order_lines c)"
)


def add_person(world: World) -> RegisteredPrincipal:
    """Ana, a person on call, who reviews requests and may revoke windows."""
    person = RegisteredPrincipal(kind=PrincipalKind.USER, display="Ana")
    return world.emulator.directory.add(person, [REVIEWERS, ADMINS])


@dataclass(slots=True)
class ReviewAct:
    stage: Stage
    person: RegisteredPrincipal

    async def play(self) -> None:
        self.stage.act("Second act: a person decides")
        world = self.stage.world
        agent = await world.token(world.emulator.add_app("migration-agent", groups=[MIGRATIONS]))
        request = await self._request(agent)
        if request is None:
            return
        person = world.people_token(self.person)
        await self._approve(person, request)
        await self._write(agent)
        await self._revoke(agent, person)
        await self._connect_again(agent)

    async def _psql(self, token: str, *commands: str) -> str:
        self.stage.show(POLICY, *commands)
        text = await self._run(token, *commands)
        self.stage.quote(text)
        return text

    async def _run(self, token: str, *commands: str) -> str:
        options = f"-c pgjit.reason='{REASON}'"
        return await self.stage.run_psql(POLICY, token, *commands, connection="prod-primary", options=options)

    async def _request(self, agent: str) -> str | None:
        """The id of the request that the login made."""
        self.stage.title(
            "Another agent wants to change data",
            f"policies/{POLICY}.yaml says `grant: review`: a person approves first.",
        )
        self.stage.note(f"export PGOPTIONS=\"-c pgjit.reason='{REASON}'\"")
        text = await self._psql(agent, WRITE)
        found = re.search(r"\br_[0-9a-z]+\b", text)
        self.stage.expect("it is refused, and the error names the request", found is not None)
        self.stage.expect("and who decides it", "database-reviewers" in text)
        return found[0] if found else None

    async def _approve(self, person: str, request: str) -> None:
        self.stage.title(
            "A person on call looks, and approves for ten minutes",
            "With the command line and a token of their own. The agent's token opens nothing there.",
        )
        text = await self.stage.pgjit(person, "requests", "--state", "pending")
        self.stage.expect("the request is listed", request in text)
        text = await self.stage.pgjit(person, "approve", request, "--ttl", "10m", "--comment", "go ahead", "--yes")
        self.stage.expect("what is approved is shown, with its reason", REASON in text)
        self.stage.expect("it is approved", "is approved" in text)

    async def _write(self, agent: str) -> None:
        self.stage.title("The agent connects again, and works", "Its window began with this connection, not before.")
        text = await self._psql(agent, "SHOW pgjit.remaining", WRITE)
        self.stage.expect(
            "it has ten minutes at most of the policy's twenty", re.search(r" 0:(0\d:\d\d|10:00)", text) is not None
        )
        self.stage.expect("the write is done", "INSERT 0 1" in text)

    async def _revoke(self, agent: str, person: str) -> None:
        self.stage.title(
            "It begins to delete notes. The person revokes the window",
            "This DELETE would take hours. Revoking ends it as the end of the window would.",
        )
        notes = await self.stage.query("SELECT count(*) FROM notes")
        self.stage.show(POLICY, LONG_WRITE)
        running = asyncio.create_task(self._run(agent, LONG_WRITE))
        pid = await self.stage.backend_running(LONG_WRITE)
        text = await self.stage.pgjit(person, "windows", "--state", "open")
        window = re.search(r"\bw_[0-9a-z]+\b", text)
        self.stage.expect("the window is listed", window is not None)
        scope = (window[0],) if window else ("--policy", POLICY)
        text = await self.stage.pgjit(person, "revoke", *scope, "--reason", "wrong table", "--yes")
        self.stage.expect("it is revoked, and its agent is named", "of migration-agent is revoked" in text)
        self.stage.note("The agent's psql, in the same moment:")
        text = await running
        self.stage.quote(text)
        self.stage.expect("the DELETE was cancelled", "canceling statement" in text)
        self.stage.expect("the agent's error says that a person revoked it", "revoked" in text)
        self.stage.expect("the backend is gone", await self.stage.is_gone(pid))
        self.stage.expect("no note was deleted", await self.stage.query("SELECT count(*) FROM notes") == notes)

    async def _connect_again(self, agent: str) -> None:
        self.stage.title("It connects again at once", "What a person ended, a new connection does not open.")
        text = await self._psql(agent, "SELECT 1")
        self.stage.expect("it is refused", "FATAL" in text)
