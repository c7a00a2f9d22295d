"""Our own tokens: as a machine's managed identity, and with a token that the platform gives."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pgjit.demo.emulator import Emulator, EmulatorSettings, FederatedCredential, PrincipalKind, RegisteredPrincipal
from pgjit.identity.client_credentials import ClientProof, FederatedToken
from pgjit.identity.directory import DirectoryUnavailable, PrincipalState
from pgjit.identity.directory import Principal as Whom
from pgjit.identity.graph import GraphDirectory, GraphSettings
from pgjit.identity.identity import GroupId, IdentityKey
from pgjit.identity.managed_identity_tokens import ManagedIdentityTokens
from tests.demo.emulator.clouds import GROUP, SUBJECT, TENANT

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
PERMISSIONS = ("Application.Read.All", "User.Read.All", "GroupMember.Read.All")


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    running = Emulator(EmulatorSettings(tenant=TENANT))
    await running.start()
    yield running
    await running.close()


async def looked_up(emulator: Emulator, proof: ClientProof | None, client_id: str | None) -> PrincipalState:
    """What Graph says of a member of the group, asked as us."""
    member = emulator.directory.add(RegisteredPrincipal(kind=PrincipalKind.APP, display="a member"), [GROUP])
    directory = GraphDirectory(
        GraphSettings(url=emulator.url, authority=emulator.url, client_id=client_id, proof=proof)
    )
    try:
        whom = Whom(IdentityKey(TENANT, member.oid), is_user=False)
        found = await directory.look_up(whom, [GroupId(GROUP)], datetime.now(UTC))
    finally:
        await directory.close()
    assert found.groups == {GROUP}
    return found.state


async def test_graph_is_asked_as_the_machines_managed_identity(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = RegisteredPrincipal(kind=PrincipalKind.MANAGED_IDENTITY, display="the machine", graph_roles=PERMISSIONS)
    emulator.directory.add(machine)
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", emulator.identity_url)
    for client_id in (None, machine.client_id):
        assert await looked_up(emulator, None, client_id) is PrincipalState.ENABLED
    with pytest.raises(DirectoryUnavailable, match="gave no token"):
        await looked_up(emulator, None, GROUP)


async def test_graph_is_asked_with_a_token_of_the_platform(emulator: Emulator, tmp_path: Path) -> None:
    cloud = emulator.cloud
    trusted = FederatedCredential(cloud.workload_issuer, SUBJECT)
    us = emulator.directory.add(
        RegisteredPrincipal(kind=PrincipalKind.APP, display="pgjit", federated=(trusted,), graph_roles=PERMISSIONS)
    )
    path = tmp_path / "token"
    proof = FederatedToken(path)
    with pytest.raises(DirectoryUnavailable, match="FileNotFoundError"):
        await looked_up(emulator, proof, us.client_id)
    path.write_text("")
    with pytest.raises(DirectoryUnavailable, match="ValueError"):
        await looked_up(emulator, proof, us.client_id)
    at = int(datetime.now(UTC).timestamp())
    claims = {"iss": cloud.workload_issuer, "sub": SUBJECT, "aud": trusted.audience, "iat": at, "exp": at + 600}
    path.write_text(cloud.workload.sign(claims) + "\n")
    assert await looked_up(emulator, proof, us.client_id) is PrincipalState.ENABLED
    path.write_text(cloud.workload.sign({**claims, "sub": "another"}))
    with pytest.raises(DirectoryUnavailable, match="no token for us"):
        await looked_up(emulator, proof, us.client_id)


async def test_one_token_is_fetched_at_a_time_and_kept_until_shortly_before_it_ends() -> None:
    given: list[tuple[str, str | None]] = []
    go = threading.Event()

    def fetch(scope: str, client_id: str | None) -> tuple[str, timedelta]:
        go.wait(60)
        given.append((scope, client_id))
        return f"token-{len(given)}", timedelta(hours=1)

    tokens = ManagedIdentityTokens("graph/.default", None, fetch)
    asking = [asyncio.create_task(tokens.get(TENANT, NOW)) for _ in range(5)]
    await asyncio.sleep(0)
    asking[0].cancel()  # one who stops waiting does not take it from the others
    go.set()
    assert await asyncio.gather(*asking[1:]) == ["token-1"] * 4
    assert given == [("graph/.default", None)]
    assert await tokens.get(TENANT, NOW + timedelta(minutes=54)) == "token-1"
    assert await tokens.get(TENANT, NOW + timedelta(minutes=55)) == "token-2"
    tokens.drop(TENANT, "token-1")
    assert await tokens.get(TENANT, NOW + timedelta(minutes=56)) == "token-2"
    tokens.drop(TENANT, "token-2")
    assert await tokens.get(TENANT, NOW + timedelta(minutes=56)) == "token-3"


async def test_without_a_token_nobody_is_looked_up_and_the_next_one_asks_again() -> None:
    answers: list[Exception | None] = [DirectoryUnavailable("none"), None]

    def fetch(_scope: str, _client_id: str | None) -> tuple[str, timedelta]:
        fault = answers.pop(0)
        if fault is not None:
            raise fault
        return "token", timedelta(minutes=2)

    tokens = ManagedIdentityTokens("graph/.default", None, fetch)
    with pytest.raises(DirectoryUnavailable):
        await tokens.get(TENANT, NOW)
    assert await tokens.get(TENANT, NOW) == "token"
    assert await tokens.get(TENANT, NOW + timedelta(seconds=59)) == "token"
    assert not answers
