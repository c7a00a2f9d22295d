"""A directory that counts its queries, and memberships on top of it: by the directory, or by claim first."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from pgjit.identity.membership_rechecks import GroupSource
from pgjit.proxy.membership import Memberships
from tests.fakes.counting_directory import (
    CountingDirectory,
    memberships,
)


@pytest.fixture
def directory() -> CountingDirectory:
    return CountingDirectory()


@pytest.fixture
async def watch(directory: CountingDirectory) -> AsyncIterator[Memberships]:
    made = memberships(directory)
    yield made
    await made.close()


@pytest.fixture
async def after_claim(directory: CountingDirectory) -> AsyncIterator[Memberships]:
    made = memberships(directory, GroupSource.CLAIM_THEN_GRAPH)
    yield made
    await made.close()
