"""Graph as directory: what is asked, which answers count, and what never leaves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from pgjit.errors import InvalidFile
from pgjit.identity.client_credentials import ClientCertificate, ClientProof, ClientSecret
from pgjit.identity.directory import DirectoryAnswer, DirectoryUnavailable, Principal, PrincipalState
from pgjit.identity.graph import GraphDirectory, GraphSettings
from pgjit.identity.identity import GroupId, IdentityKey
from tests.fakes.certificate import certificate
from tests.fakes.graph import AUTHORITY, CLIENT, GRAPH, SECRET, FakeGraph

TENANT = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
OTHER_TENANT = "8d0f7780-8536-4def-a55c-f18ad2a01bf8"
OID = "0d4b2a6e-91c7-4b55-8f0e-3c2f7a1e5d90"
AGENT = Principal(IdentityKey(TENANT, OID), is_user=False)
PERSON = Principal(IdentityKey(TENANT, OID), is_user=True)
NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def group(number: int) -> GroupId:
    return GroupId(f"00000000-0000-4000-8000-{number:012}")


def settings(proof: ClientProof | None = None) -> GraphSettings:
    return GraphSettings(
        url=GRAPH, authority=AUTHORITY, client_id=CLIENT, proof=proof or ClientSecret(lambda: SECRET)
    )


@pytest.fixture
def graph() -> FakeGraph:
    fake = FakeGraph()
    fake.add(OID, group(1), group(3))
    return fake


@pytest.fixture
async def directory(graph: FakeGraph) -> AsyncIterator[GraphDirectory]:
    made = GraphDirectory(settings(), transport=graph)
    yield made
    await made.close()


async def unavailable(directory: GraphDirectory, now: datetime = NOW) -> DirectoryUnavailable:
    with pytest.raises(DirectoryUnavailable) as raised:
        await directory.look_up(AGENT, [group(1)], now)
    return raised.value


# --- what is asked -------------------------------------------------------------------------------------------


async def test_an_agents_groups_are_asked_for_among_the_service_principals(
    directory: GraphDirectory, graph: FakeGraph
) -> None:
    found = await directory.look_up(AGENT, [group(1), group(2)], NOW)
    assert found == DirectoryAnswer(at=NOW, state=PrincipalState.ENABLED, groups=frozenset({group(1)}))
    assert sorted(graph.requested) == [
        f"GET /v1.0/servicePrincipals/{OID}",
        f"POST /v1.0/servicePrincipals/{OID}/checkMemberGroups",
    ]
    assert graph.forms == [
        {
            "grant_type": "client_credentials",
            "client_id": CLIENT,
            "scope": f"{GRAPH}/.default",
            "client_secret": SECRET,
            "endpoint": f"{AUTHORITY}/{TENANT}/oauth2/v2.0/token",
        }
    ]


async def test_a_person_is_looked_for_among_the_users(directory: GraphDirectory, graph: FakeGraph) -> None:
    graph.add(OID, group(1), kind="users")
    assert (await directory.look_up(PERSON, [group(1)], NOW)).groups == {group(1)}
    assert all("/users/" in requested for requested in graph.requested)


async def test_an_object_of_another_type_is_not_there(directory: GraphDirectory) -> None:
    assert (await directory.look_up(PERSON, [group(1)], NOW)).state is PrincipalState.DELETED


@pytest.mark.parametrize(("count", "batches"), [(0, []), (1, [1]), (20, [20]), (21, [20, 1]), (45, [20, 20, 5])])
async def test_groups_go_in_batches_of_twenty(
    directory: GraphDirectory, graph: FakeGraph, count: int, batches: list[int]
) -> None:
    found = await directory.look_up(AGENT, [group(number) for number in range(1, count + 1)], NOW)
    assert sorted(map(len, graph.batches), reverse=True) == batches
    assert found.groups == {each for each in (group(1), group(3)) if int(each[-12:]) <= count}


async def test_a_group_that_is_not_an_object_id_is_never_asked_for(
    directory: GraphDirectory, graph: FakeGraph
) -> None:
    await directory.look_up(AGENT, [GroupId("readers"), group(1)], NOW)
    assert graph.batches == [[group(1)]]


async def test_a_principal_can_be_disabled_or_gone(directory: GraphDirectory, graph: FakeGraph) -> None:
    graph.people[OID].enabled = False
    assert await directory.look_up(AGENT, [group(1)], NOW) == DirectoryAnswer(
        at=NOW, state=PrincipalState.DISABLED, groups=frozenset({group(1)})
    )
    del graph.people[OID]
    assert (await directory.look_up(AGENT, [group(1)], NOW)).state is PrincipalState.DELETED


# --- the app that acts for a user ----------------------------------------------------------------------------

APP = "9b2d7c1e-0f4a-4d8e-8b6c-5a3e1f2d4c60"
ACTING = Principal(IdentityKey(TENANT, APP), is_user=False, acting=True)


async def test_an_app_is_asked_for_by_its_client_id_and_for_nothing_but_its_state(
    directory: GraphDirectory, graph: FakeGraph
) -> None:
    app = graph.add_client(APP)
    nothing: frozenset[GroupId] = frozenset()
    assert await directory.look_up(ACTING, [group(1)], NOW) == DirectoryAnswer(
        at=NOW, state=PrincipalState.ENABLED, groups=nothing
    )
    assert graph.requested == [f"GET /v1.0/servicePrincipals(appId='{APP}')"]
    app.enabled = False
    assert (await directory.look_up(ACTING, [group(1)], NOW)).state is PrincipalState.DISABLED
    app.enabled = "yes"
    with pytest.raises(DirectoryUnavailable):
        await directory.look_up(ACTING, [group(1)], NOW)
    graph.fault = httpx.Response(200, json={"appId": CLIENT, "accountEnabled": True})  # another's
    with pytest.raises(DirectoryUnavailable):
        await directory.look_up(ACTING, [group(1)], NOW)
    graph.fault = httpx.Response(404, json={"error": {"code": "BadRequest"}})
    with pytest.raises(DirectoryUnavailable):
        await directory.look_up(ACTING, [group(1)], NOW)


async def test_duplicate_groups_in_an_answer_are_one(directory: GraphDirectory, graph: FakeGraph) -> None:
    graph.fault = httpx.Response(200, json={"value": [group(1), group(1).upper()], "id": OID, "accountEnabled": True})
    assert (await directory.look_up(AGENT, [group(1)], NOW)).groups == {group(1)}


async def test_an_agent_without_a_client_id_of_its_own_is_found_by_its_object_id(
    directory: GraphDirectory, graph: FakeGraph
) -> None:
    assert (await directory.look_up(ACTING, [], NOW)).state is PrincipalState.DELETED
    graph.add(APP).enabled = False
    assert (await directory.look_up(ACTING, [], NOW)).state is PrincipalState.DISABLED
    graph.people[APP].enabled = True
    assert (await directory.look_up(ACTING, [], NOW)).state is PrincipalState.ENABLED


async def test_a_client_of_microsofts_own_need_not_be_in_the_tenant(
    directory: GraphDirectory, graph: FakeGraph
) -> None:
    azure_cli = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
    acting = Principal(IdentityKey(TENANT, azure_cli), is_user=False, acting=True)
    assert (await directory.look_up(acting, [], NOW)).state is PrincipalState.ENABLED
    graph.add_client(azure_cli).enabled = False
    assert (await directory.look_up(acting, [], NOW)).state is PrincipalState.DISABLED


# --- our own token -------------------------------------------------------------------------------------------


async def test_our_token_is_used_until_shortly_before_it_ends(directory: GraphDirectory, graph: FakeGraph) -> None:
    for minutes in (0, 10, 54):
        await directory.look_up(AGENT, [group(1)], NOW + timedelta(minutes=minutes))
    assert graph.tokens_given == 1
    await directory.look_up(AGENT, [group(1)], NOW + timedelta(minutes=55))
    assert graph.tokens_given == 2


async def test_each_tenant_has_a_token_of_its_own(directory: GraphDirectory, graph: FakeGraph) -> None:
    await directory.look_up(AGENT, [], NOW)
    graph.accepted.add("graph-token-1")
    await directory.look_up(Principal(IdentityKey(OTHER_TENANT, OID), is_user=False), [], NOW)
    assert [form["endpoint"].split("/")[3] for form in graph.forms] == [TENANT, OTHER_TENANT]


async def test_many_questions_at_once_take_one_token(directory: GraphDirectory, graph: FakeGraph) -> None:
    await asyncio.gather(*(directory.look_up(AGENT, [group(1)], NOW) for _ in range(10)))
    assert graph.tokens_given == 1


async def test_a_token_that_is_not_accepted_any_more_is_replaced_once(
    directory: GraphDirectory, graph: FakeGraph
) -> None:
    await directory.look_up(AGENT, [group(1)], NOW)
    graph.accepted.clear()
    assert (await directory.look_up(AGENT, [group(1)], NOW)).groups == {group(1)}
    graph.fault = httpx.Response(401)
    assert "401" in str(await unavailable(directory))


async def test_a_secret_is_read_whenever_a_token_is_asked_for(graph: FakeGraph, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("wrong")
    directory = GraphDirectory(settings(ClientSecret(path.read_text)), transport=graph)
    fault = await unavailable(directory)
    assert str(fault) == "no token for us: 401 invalid_client"
    path.write_text(SECRET)
    assert (await directory.look_up(AGENT, [group(1)], NOW)).groups == {group(1)}
    path.unlink()
    later = await unavailable(directory, NOW + timedelta(hours=1))
    assert "FileNotFoundError" in str(later)
    await directory.close()


async def test_a_certificate_proves_us_by_an_assertion_for_this_endpoint_alone(
    graph: FakeGraph, tmp_path: Path
) -> None:
    key = rsa.generate_private_key(65537, 2048)
    directory = GraphDirectory(settings(ClientCertificate(*certificate(tmp_path, key, NOW))), transport=graph)
    await directory.look_up(AGENT, [group(1)], datetime.now(UTC))
    await directory.close()
    (form,) = graph.forms
    assert "client_secret" not in form
    assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    claims = jwt.decode(
        form["client_assertion"], key.public_key(), ["PS256"], audience=form["endpoint"], issuer=CLIENT
    )
    assert (claims["sub"], claims["exp"] - claims["iat"]) == (CLIENT, 300)
    assert jwt.get_unverified_header(form["client_assertion"])["x5t#S256"]


# --- answers that do not count -------------------------------------------------------------------------------

NOT_FOUND_ELSEWHERE = httpx.Response(404, json={"error": {"code": "Request_UnsupportedQuery"}})
FAULTS: dict[str, tuple[httpx.Response | Exception, str]] = {
    "no route": (httpx.ConnectError("no route to 10.0.0.1"), "ConnectError"),
    "no answer": (httpx.ReadTimeout("slow"), "ReadTimeout"),
    "error": (httpx.Response(500, text="oops"), "500"),
    "consent lost": (httpx.Response(403, json={"error": {"code": "Authorization_RequestDenied"}}), "403"),
    "bad request": (httpx.Response(400, json={}), "400"),
    "redirect": (httpx.Response(302, headers={"location": "http://169.254.169.254/"}), "302"),
    "not found, but not the principal": (NOT_FOUND_ELSEWHERE, "404"),
    "not found, as a web page": (httpx.Response(404, html="<html>"), "not JSON"),
    "a web page": (httpx.Response(200, html="<html>sign in</html>"), "not JSON"),
    "a list": (httpx.Response(200, json=[]), "not a JSON object"),
    "an empty object": (httpx.Response(200, json={}), "does not show|not a list"),
    "groups as text": (
        httpx.Response(200, json={"value": group(1), "id": OID, "accountEnabled": True}),
        "not a list",
    ),
    "groups as numbers": (httpx.Response(200, json={"value": [1], "id": OID, "accountEnabled": True}), "not a list"),
    "groups that were not queried": (
        httpx.Response(200, json={"value": [group(9)], "id": OID, "accountEnabled": True}),
        "not queried",
    ),
    "the first page of several": (
        httpx.Response(
            200,
            json={"value": [], "@odata.nextLink": f"{GRAPH}/2", "id": OID, "accountEnabled": True},
        ),
        "not a whole one",
    ),
    "another principal": (
        httpx.Response(200, json={"value": [], "id": CLIENT, "accountEnabled": True}),
        "does not show",
    ),
    "enabled as text": (
        httpx.Response(200, json={"value": [], "id": OID, "accountEnabled": "true"}),
        "does not show",
    ),
    "enabled unknown": (httpx.Response(200, json={"value": [], "id": OID, "accountEnabled": None}), "does not show"),
    "much": (httpx.Response(200, json={"value": ["x" * 600_000]}), "larger than"),
    "a name twice": (
        httpx.Response(200, content=b'{"value":[],"value":[]}', headers={"content-type": "application/json"}),
        "a name twice",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_an_answer_that_is_not_sound_is_none(directory: GraphDirectory, graph: FakeGraph, name: str) -> None:
    graph.fault, expected = FAULTS[name]
    fault = await unavailable(directory)
    assert any(each in str(fault) for each in expected.split("|"))
    assert fault.retry_after is None
    assert all("169.254" not in requested for requested in graph.requested)
    graph.fault = None
    assert (await directory.look_up(AGENT, [group(1)], NOW)).groups == {group(1)}


TOKEN_FAULTS = {
    "refused": httpx.Response(401, json={"error": "invalid_client", "error_description": SECRET}),
    "refused in odd words": httpx.Response(400, json={"error": f"<{SECRET}>"}),
    "refused as a page": httpx.Response(403, html=SECRET),
    "no token": httpx.Response(200, json={"expires_in": 3599}),
    "a token with a line break": httpx.Response(200, json={"access_token": "a\r\nb: c", "expires_in": 3599}),
    "no life": httpx.Response(200, json={"access_token": "a"}),
    "a life of years": httpx.Response(200, json={"access_token": "a", "expires_in": 10**9}),
    "a life as text": httpx.Response(200, json={"access_token": "a", "expires_in": "3599"}),
}


@pytest.mark.parametrize("name", TOKEN_FAULTS)
async def test_without_a_token_of_ours_there_is_no_answer_and_no_secret_in_words(
    directory: GraphDirectory, graph: FakeGraph, name: str
) -> None:
    graph.token_fault = TOKEN_FAULTS[name]
    fault = await unavailable(directory)
    assert SECRET not in str(fault)
    assert graph.requested == []


# --- when Graph wants to be left alone -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("17", 17),
        ("0", 1),
        ("Tue, 24 Nov 2026 09:31:00 GMT", 60),
        ("Tue, 24 Nov 2020 09:31:00 GMT", 1),
        ("999999999", 600),
        ("99999999999999999999", 30),
        ("soon", 30),
        ("", 30),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
async def test_a_pause_that_graph_asks_for_is_kept(
    directory: GraphDirectory, graph: FakeGraph, header: str, seconds: int, status: int
) -> None:
    graph.fault = httpx.Response(status, headers={"retry-after": header})
    pause = timedelta(seconds=seconds)
    assert (await unavailable(directory)).retry_after == pause
    graph.fault = None
    requested = len(graph.requested)
    early = await unavailable(directory, NOW + pause - timedelta(milliseconds=1))
    assert early.retry_after == timedelta(milliseconds=1)
    assert len(graph.requested) == requested
    assert (await directory.look_up(AGENT, [group(1)], NOW + pause)).groups == {group(1)}


# --- what is written down ------------------------------------------------------------------------------------


async def test_no_secret_and_no_token_is_in_a_log_or_an_error(
    directory: GraphDirectory, graph: FakeGraph, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await directory.look_up(AGENT, [group(1)], NOW)
    shown = [str(directory.__dict__)]
    for graph.fault, _ in FAULTS.values():
        shown.append(repr(await unavailable(directory)))
    everything = caplog.text + "".join(shown)
    assert SECRET not in everything
    assert "graph-token-" not in everything


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"url": "http://graph.example"}, "graph.url"),
        ({"url": "https://graph.example/v1.0"}, "graph.url"),
        ({"authority": "http://login.example"}, "authority"),
        ({"client_id": "me"}, "graph.client_id"),
    ],
)
def test_places_that_are_not_safe_are_faults(change: dict[str, str], key: str) -> None:
    good = {"url": GRAPH, "authority": AUTHORITY, "client_id": CLIENT}
    with pytest.raises(InvalidFile) as invalid:
        GraphSettings(proof=ClientSecret(lambda: SECRET), **{**good, **change})  # type: ignore[arg-type]
    assert [fault.split("`")[1] for fault in invalid.value.faults] == [key]
