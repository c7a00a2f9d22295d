"""Owners and sponsors by Graph: which lists are read, and which answers are none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest

from pgjit.identity.client_credentials import ClientSecret
from pgjit.identity.directory import DirectoryUnavailable, Owners
from pgjit.identity.graph import GraphDirectory, GraphSettings
from pgjit.identity.identity import GroupId, IdentityKey
from tests.fakes.graph import AUTHORITY, CLIENT, GRAPH, SECRET, FakeGraph

TENANT = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
OID = "0d4b2a6e-91c7-4b55-8f0e-3c2f7a1e5d90"
AGENT = IdentityKey(TENANT, OID)
NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
ANN, BOB, CID, DEV = (f"00000000-0000-4000-8000-00000000000{number}" for number in range(1, 5))


def entry(oid: str, kind: str = "user") -> dict[str, object]:
    return {"@odata.type": f"#microsoft.graph.{kind}", "id": oid.upper()}


@pytest.fixture
def graph() -> FakeGraph:
    fake = FakeGraph()
    agent = fake.add(OID)
    agent.owners, agent.app_owners = [entry(ANN)], [entry(BOB, "servicePrincipal")]
    agent.sponsors = [entry(CID), entry(DEV, "group")]
    return fake


@pytest.fixture
async def directory(graph: FakeGraph) -> AsyncIterator[GraphDirectory]:
    settings = GraphSettings(url=GRAPH, authority=AUTHORITY, client_id=CLIENT, proof=ClientSecret(lambda: SECRET))
    made = GraphDirectory(settings, transport=graph)
    yield made
    await made.close()


async def test_an_agent_belongs_to_its_owners_those_of_its_registration_and_its_sponsors(
    directory: GraphDirectory, graph: FakeGraph
) -> None:
    expected = Owners(
        principals=frozenset(IdentityKey(TENANT, oid) for oid in (ANN, BOB, CID)), groups=frozenset({GroupId(DEV)})
    )
    assert await directory.owners(AGENT, NOW) == expected
    # A user's token names its agent by the client id.
    assert await directory.owners(IdentityKey(TENANT, graph.people[OID].client_id), NOW) == expected


async def test_an_app_of_another_tenant_has_no_registration_here_and_no_sponsors(
    directory: GraphDirectory, graph: FakeGraph
) -> None:
    graph.people[OID].app_owners = graph.people[OID].sponsors = None
    assert (await directory.owners(AGENT, NOW)).principals == {IdentityKey(TENANT, ANN)}


async def test_a_user_and_a_client_of_microsofts_own_belong_to_nobody(
    directory: GraphDirectory, graph: FakeGraph
) -> None:
    graph.add(ANN, kind="users")
    assert await directory.owners(IdentityKey(TENANT, ANN), NOW) == Owners()
    before = len(graph.requested)
    assert await directory.owners(IdentityKey(TENANT, "04b07795-8ddb-461a-bbee-02f9e1bf7b46"), NOW) == Owners()
    assert await directory.owners(IdentityKey(TENANT, "a/../b"), NOW) == Owners()
    assert len(graph.requested) == before


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
async def test_an_error_is_no_answer(directory: GraphDirectory, graph: FakeGraph, status: int) -> None:
    graph.fault = httpx.Response(status, json={"error": {"code": "Authorization_RequestDenied"}})
    with pytest.raises(DirectoryUnavailable):
        await directory.owners(AGENT, NOW)


@pytest.mark.parametrize(
    "owners",
    [
        [{"id": ANN}],
        [{"@odata.type": "#microsoft.graph.user"}],
        [{"@odata.type": "#microsoft.graph.user", "id": "ann"}],
        ["ann"],
        [entry(ANN)] * 501,
    ],
)
async def test_a_list_that_may_lack_somebody_is_none(
    directory: GraphDirectory, graph: FakeGraph, owners: list[dict[str, object]]
) -> None:
    graph.people[OID].owners = owners
    with pytest.raises(DirectoryUnavailable):
        await directory.owners(AGENT, NOW)


async def test_half_a_list_is_none(directory: GraphDirectory, graph: FakeGraph) -> None:
    body = {"id": OID, "appId": OID, "value": [], "@odata.nextLink": f"{GRAPH}/v1.0/more"}
    graph.fault = httpx.Response(200, json=body)
    with pytest.raises(DirectoryUnavailable):
        await directory.owners(AGENT, NOW)
