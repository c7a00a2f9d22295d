"""A worker that judges in a thread, so that a test starts no process."""

from __future__ import annotations

import asyncio

from pgjit.judging.judge import assess
from pgjit.judging.judgement import Judgement, without_facts
from pgjit.policy.policy import Policy
from pgjit.sql.catalog import Catalog

__all__ = ["ThreadWorker"]


class ThreadWorker:
    async def ready(self) -> None:
        return

    async def judge(self, policy: Policy, sql: bytes, limit: int, catalog: Catalog | None) -> Judgement:
        return without_facts(await asyncio.to_thread(assess, policy, sql, limit, catalog))

    def kill(self) -> None:
        return

    async def close(self) -> None:
        return
