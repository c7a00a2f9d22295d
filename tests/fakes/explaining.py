"""Explanations in this process: the same functions as in the explainer's own, without starting it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pgjit.judging.explanation import explained
from pgjit.judging.policy_tests import results_of_tests
from pgjit.policy.load import Policies
from pgjit.policy.policy import Policy
from pgjit.sql.catalog import Catalog

__all__ = ["InlineExplaining"]


class InlineExplaining:
    async def explain(
        self, policy: Policy, sql: bytes, limit: int, catalog: Catalog | None, text: str
    ) -> dict[str, Any]:
        return explained(policy, sql, limit, catalog, text)

    async def run_tests(self, policies: Sequence[Policy], name: str, limit: int) -> dict[str, Any]:
        return results_of_tests(Policies(policies), name, limit)

    def kill(self) -> None: ...

    async def close(self) -> None: ...
