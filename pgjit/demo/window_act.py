"""The first act: an agent connects on its own, reads, is refused what it may not do, and its window ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

import jwt

from pgjit.demo.emulator import AppCredentials
from pgjit.demo.stage import Stage
from pgjit.demo.world import SCHEMA_CHECKS

__all__ = ["LONG_QUERY", "POLICY", "WindowAct"]

POLICY = "jit-schema-checks"
LONG_QUERY = "SELECT count(*) FROM order_lines a, order_lines b, order_lines c"


@dataclass(slots=True)
class WindowAct:
    stage: Stage

    async def play(self) -> None:
        self.stage.act("First act: an agent alone")
        agent = self.stage.world.emulator.add_app("schema-check-agent", groups=[SCHEMA_CHECKS])
        token = await self._get_token(agent)
        await self._look_around(token)
        await self._refusals(token)
        await self._end_of_window(token)
        await self._next_connection(token)

    async def _get_token(self, agent: AppCredentials) -> str:
        self.stage.title(
            "An agent gets an access token",
            "From the identity provider, as any app does: client credentials.",
        )
        token = await self.stage.world.token(agent)
        claims = jwt.decode(token, options={"verify_signature": False})
        expires = datetime.fromtimestamp(claims["exp"], UTC)
        self.stage.note(
            f"a token of {len(token)} bytes for app [bold]{agent.oid}[/], member of group "
            f"{claims['groups'][0]} (`jit-schema-checks`), valid until {expires:%H:%M} UTC"
        )
        self.stage.expect("the token names the group", SCHEMA_CHECKS in claims["groups"])
        return token

    async def _psql(self, token: str, *commands: str) -> str:
        return await self.stage.psql(POLICY, token, *commands)

    async def _look_around(self, token: str) -> None:
        self.stage.title(
            "It connects with psql, the token as its password",
            "Connecting opens the window: its end is fixed now.",
        )
        text = await self._psql(token, "SHOW pgjit.window", "SHOW pgjit.identity")
        self.stage.expect("it can read its window", "pgjit.window" in text and "ERROR" not in text)
        self.stage.title(
            "It reads the schema", "psql's own \\d works: its catalog queries are judged like any other."
        )
        text = await self._psql(token, "\\d orders")
        self.stage.expect("the columns are listed", "customer_id" in text)
        self.stage.title("It asks for an aggregate", "Rows come straight from the server.")
        text = await self._psql(
            token,
            "SELECT date_trunc('month', o.ordered_at)::date AS month, count(*) AS orders, "
            "round(sum(l.quantity * l.unit_price)) AS revenue FROM orders o JOIN order_lines l ON l.order_id = o.id "
            "GROUP BY 1 ORDER BY 1 DESC LIMIT 4",
        )
        self.stage.expect("four months are answered", "(4 rows)" in text)

    async def _refusals(self, token: str) -> None:
        self.stage.title(
            "It tries to write",
            "Refused by the syntax tree, before the database sees it. The session lives on.",
        )
        text = await self._psql(
            token, "UPDATE customers SET email = 'x@example.com'", "SELECT 'still here' AS session"
        )
        self.stage.expect(
            "the update is refused with detail and hint",
            all(w in text for w in ("ERROR:", "DETAIL:", "HINT:")),
        )
        self.stage.expect("the session is alive after it", "still here" in text)
        self.stage.title("It hides the write in a WITH", "A read on the outside, a DELETE within.")
        text = await self._psql(token, "WITH gone AS (DELETE FROM payments RETURNING *) SELECT count(*) FROM gone")
        self.stage.expect("the hidden delete is refused", "ERROR:" in text and "(1 row)" not in text)
        left = await self.stage.query("SELECT count(*) FROM payments")
        self.stage.expect("nothing was deleted", isinstance(left, int) and left > 0)
        self.stage.title("It asks how long it may stay")
        text = await self._psql(token, "SHOW pgjit.remaining")
        self.stage.expect("it can read the time that is left", "0:00:" in text)

    async def _end_of_window(self, token: str) -> None:
        self.stage.title(
            "A long query is running when the window ends", "A join without a condition: it would take hours."
        )
        running = asyncio.create_task(self._psql(token, LONG_QUERY))
        pid = await self.stage.backend_running(LONG_QUERY)
        text = await running
        gone = await self.stage.is_gone(pid)
        state = "gone" if gone else "still there"
        self.stage.note(f"pg_stat_activity at {datetime.now(UTC):%H:%M:%S} UTC: backend {pid} is [bold]{state}[/]")
        self.stage.expect("the query was cancelled", "canceling statement" in text)
        self.stage.expect("the session was ended", "is over" in text)
        self.stage.expect("the backend is gone", gone)

    async def _next_connection(self, token: str) -> None:
        self.stage.title("It connects again at once", "The token is still good. The window is not.")
        text = await self._psql(token, "SELECT 1")
        self.stage.expect(
            "it is refused, and the error says from when it may connect again",
            "new window may be requested from" in text,
        )
