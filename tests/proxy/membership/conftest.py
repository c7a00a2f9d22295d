"""A directory that counts, and memberships that ask it: by themselves, or after the token."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from pgjit.identity.membership_rechecks import GroupSource
from pgjit.proxy.membership import Memberships
from tests.fakes.watched import (
    Counting,
    memberships,
)


@pytest.fixture
def directory() -> Counting:
    return Counting()


@pytest.fixture
async def watch(directory: Counting) -> AsyncIterator[Memberships]:
    made = memberships(directory)
    yield made
    await made.close()


@pytest.fixture
async def after_claim(directory: Counting) -> AsyncIterator[Memberships]:
    made = memberships(directory, GroupSource.CLAIM_THEN_GRAPH)
    yield made
    await made.close()
