"""A policy, a target and an `Access`, for tests that need one of each."""

from __future__ import annotations

from datetime import datetime, timedelta

from pgjit.identity.identity import GroupId
from pgjit.policy.policy import Grant, Policy, Preset, StatementTerms
from pgjit.proxy.access import Access
from pgjit.server.credential import FixedSecret
from pgjit.server.target import Host, Target
from tests.fakes.both_ends import CONTEXT

__all__ = ["TARGET", "access", "policy"]

TARGET = Target(
    name="shop",
    hosts=(Host("db"),),
    database="shop",
    user="reader",
    credential=FixedSecret("hidden"),
    search_path="app, public",
)


def policy(
    name: str = "jit-schema-checks", connection: str = "shop", group: str = "g1", preset: Preset = Preset.READ_ONLY
) -> Policy:
    return Policy(
        name=name,
        connection=connection,
        group=GroupId(group),
        group_name=None,
        grant=Grant.ON_REQUEST,
        ttl=timedelta(hours=1),
        cooldown=timedelta(hours=1),
        record=True,
        statements=StatementTerms(access=preset),
        source=f"{name}.yaml",
        version="0" * 64,
    )


def access(preset: Preset, ends_at: datetime) -> Access:
    return Access(CONTEXT.identity, policy(preset=preset), CONTEXT.window, ends_at, TARGET)
