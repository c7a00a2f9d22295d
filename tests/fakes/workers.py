"""Workers that judge in a thread: no process is started for a test that is not about processes."""

from __future__ import annotations

import asyncio

from pgjit.judging.judge import Judgement, assess, without_facts
from pgjit.policy.policy import Policy
from pgjit.sql.catalog import Catalog

__all__ = ["InThread"]


class InThread:
    async def ready(self) -> None:
        return

    async def judge(self, policy: Policy, sql: bytes, limit: int, catalog: Catalog | None) -> Judgement:
        return without_facts(await asyncio.to_thread(assess, policy, sql, limit, catalog))

    def kill(self) -> None:
        return

    async def close(self) -> None:
        return
