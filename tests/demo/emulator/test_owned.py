"""Owners and sponsors, read from the emulator by pgjit's own directory."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pgjit.identity.client_credentials import ClientSecret
from pgjit.identity.directory import DirectoryUnavailable, Owners
from pgjit.identity.graph import GraphDirectory, GraphSettings
from pgjit.identity.identity import GroupId, IdentityKey
from tests.demo.emulator.clouds import GROUP, TENANT, Cast, cast

__all__ = ["cast"]  # a fixture


async def owners(cast: Cast, oid: str) -> Owners:
    origin = cast.graph.removesuffix("/v1.0")
    secret = cast.reader.secrets[0]
    settings = GraphSettings(
        url=origin,
        authority=origin,
        client_id=cast.reader.client_id,
        proof=ClientSecret(lambda: secret),
        allow_http=True,
    )
    directory = GraphDirectory(settings)
    try:
        return await directory.owners(IdentityKey(TENANT, oid), datetime.now(UTC))
    finally:
        await directory.close()


async def test_an_agent_has_owners_and_sponsors_and_an_app_owners(cast: Cast) -> None:
    person, app = cast.person.oid, cast.app.oid
    cast.agent.owners, cast.agent.sponsors = (app,), (person, GROUP)
    assert await owners(cast, cast.agent.oid) == Owners(
        principals=frozenset({IdentityKey(TENANT, app), IdentityKey(TENANT, person)}),
        groups=frozenset({GroupId(GROUP)}),
    )
    cast.app.owners = (person,)
    assert cast.app.client_id is not None
    by_client = await owners(cast, cast.app.client_id)
    assert by_client == await owners(cast, app) == Owners(principals=frozenset({IdentityKey(TENANT, person)}))
    assert await owners(cast, person) == Owners()


async def test_without_its_permission_nothing_is_known(cast: Cast) -> None:
    cast.reader.graph_roles = ("User.Read.All",)
    with pytest.raises(DirectoryUnavailable, match="403"):
        await owners(cast, cast.agent.oid)
