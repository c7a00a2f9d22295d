"""Graph's answers: who is in what, who is still there, and who may ask."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import jwt
import pytest

from pgjit.demo.emulator import PrincipalKind, RegisteredPrincipal
from tests.demo.emulator.clouds import GROUP, OTHER, SCOPE, TENANT, Cast, cast, said
from tests.fakes.local_http import local_http

__all__ = ["cast"]  # a fixture

GRAPH = "https://graph.microsoft.com/.default"
UNKNOWN = "99999999-9999-4999-8999-999999999999"


async def ask(
    cast: Cast, path: str, body: object = None, *, token: str | None = None, client: RegisteredPrincipal | None = None
) -> httpx.Response:
    bearer = token or await cast.token(cast.form(client or cast.reader, GRAPH))
    async with local_http(headers={"Authorization": f"Bearer {bearer}"}) as http:
        if body is None:
            return await http.get(f"{cast.graph}/{path}")
        return await http.post(f"{cast.graph}/{path}", json=body)


def ids(*groups: str) -> dict[str, object]:
    return {"groupIds": list(groups)}


COLLECTIONS: tuple[tuple[str, Callable[[Cast], RegisteredPrincipal]], ...] = (
    ("servicePrincipals", lambda c: c.app),
    ("servicePrincipals", lambda c: c.machine),
    ("servicePrincipals", lambda c: c.agent),
    ("users", lambda c: c.person),
    ("users", lambda c: c.agents_user),
    ("directoryObjects", lambda c: c.app),
    ("directoryObjects", lambda c: c.person),
)


@pytest.mark.parametrize(("collection", "who"), COLLECTIONS)
async def test_a_membership_is_told_through_other_groups_and_at_once(
    cast: Cast, collection: str, who: Callable[[Cast], RegisteredPrincipal]
) -> None:
    place = f"{collection}/{who(cast).oid}/checkMemberGroups"
    assert (await ask(cast, place, ids(OTHER, GROUP.upper()))).json()["value"] == [GROUP.upper()]
    await cast.admin("PUT", f"groups/{OTHER}/members/{GROUP}", status=204)
    assert (await ask(cast, place, ids(OTHER, GROUP))).json()["value"] == [OTHER, GROUP]
    await cast.admin("DELETE", f"groups/{GROUP}/members/{who(cast).oid}", status=204)
    assert (await ask(cast, place, ids(OTHER, GROUP))).json()["value"] == []


@pytest.mark.parametrize("call", ["getMemberObjects", "getMemberGroups"])
async def test_all_groups_are_told(cast: Cast, call: str) -> None:
    await cast.admin("PUT", f"groups/{OTHER}/members/{GROUP}", status=204)
    answer = await ask(cast, f"servicePrincipals/{cast.app.oid}/{call}", {"securityEnabledOnly": True})
    assert answer.json()["value"] == [GROUP, OTHER]


async def test_a_long_list_comes_in_pages(cast: Cast) -> None:
    groups = [f"{n:08x}-0000-4000-8000-000000000000" for n in range(7)]
    many = cast.emulator.directory.add(RegisteredPrincipal(kind=PrincipalKind.APP, display="many"), groups)
    token, found, path = await cast.token(cast.form(cast.reader, GRAPH)), [], "?$top=3"
    for _ in range(3):
        page = (await ask(cast, f"servicePrincipals/{many.oid}/transitiveMemberOf{path}", token=token)).json()
        found += [each["id"] for each in page["value"]]
        assert all(each["@odata.type"] == "#microsoft.graph.group" for each in page["value"])
        path = "?" + str(page.get("@odata.nextLink", "")).partition("?")[2]
    assert (found, path) == (groups, "?")


async def test_the_state_of_a_principal_is_told(cast: Cast) -> None:
    for collection, who in (("servicePrincipals", cast.app), ("users", cast.person)):
        place = f"{collection}/{who.oid}"
        answer = (await ask(cast, f"{place}?$select=id,accountEnabled")).json()
        assert {name: value for name, value in answer.items() if name[0] != "@"} == {
            "id": who.oid,
            "accountEnabled": True,
        }
        await cast.admin("PATCH", f"principals/{who.oid}", {"enabled": False})
        assert (await ask(cast, place)).json()["accountEnabled"] is False
        await cast.admin("DELETE", f"principals/{who.oid}", status=204)
        for path, body in ((place, None), (f"{place}/checkMemberGroups", ids(GROUP))):
            gone = await ask(cast, path, body)
            assert (gone.status_code, gone.json()["error"]["code"]) == (404, "Request_ResourceNotFound")


async def test_an_app_is_told_by_its_client_id_too(cast: Cast) -> None:
    for who in (cast.app, cast.agent):
        place = f"servicePrincipals(appId='{who.client_id}')"
        answer = (await ask(cast, f"{place}?$select=appId,accountEnabled")).json()
        assert {name: value for name, value in answer.items() if name[0] != "@"} == {
            "appId": who.client_id,
            "accountEnabled": True,
        }
        await cast.admin("DELETE", f"principals/{who.oid}", status=204)
        gone = await ask(cast, place)
        assert (gone.status_code, gone.json()["error"]["code"]) == (404, "Request_ResourceNotFound")
    assert (await ask(cast, f"servicePrincipals(appId='{cast.person.oid}')")).status_code == 404
    assert (await ask(cast, "servicePrincipals(appId='x')")).status_code == 404


async def test_a_person_is_no_service_principal_and_the_other_way_round(cast: Cast) -> None:
    for collection, who in (("users", cast.app), ("servicePrincipals", cast.person)):
        assert (await ask(cast, f"{collection}/{who.oid}/checkMemberGroups", ids(GROUP))).status_code == 404


BAD_BODIES: dict[str, object] = {
    "no ids": {},
    "an empty list": ids(),
    "more than twenty": ids(*[f"{n:08x}-0000-4000-8000-000000000000" for n in range(21)]),
    "names": ids("admins"),
    "a list": [GROUP],
}


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_a_bad_question_is_refused(cast: Cast, name: str) -> None:
    answer = await ask(cast, f"servicePrincipals/{cast.app.oid}/checkMemberGroups", BAD_BODIES[name])
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "Request_BadRequest")


PERMISSIONS: dict[str, tuple[str, str, tuple[str, ...], int]] = {
    "nothing": ("servicePrincipals", "checkMemberGroups", (), 403),
    "apps": ("servicePrincipals", "checkMemberGroups", ("Application.Read.All",), 200),
    "people for apps": ("servicePrincipals", "checkMemberGroups", ("User.Read.All", "GroupMember.Read.All"), 403),
    "people without groups": ("users", "checkMemberGroups", ("User.Read.All",), 403),
    "people and groups": ("users", "checkMemberGroups", ("User.Read.All", "GroupMember.Read.All"), 200),
    "all": ("users", "checkMemberGroups", ("Directory.Read.All",), 200),
    "a person's state": ("users", "", ("User.Read.All",), 200),
    "a person's state by apps": ("users", "", ("Application.Read.All",), 403),
}


@pytest.mark.parametrize("name", PERMISSIONS)
async def test_a_permission_is_needed_that_an_administrator_consented_to(cast: Cast, name: str) -> None:
    collection, call, roles, status = PERMISSIONS[name]
    await cast.admin("PATCH", f"principals/{cast.reader.oid}", {"graph_roles": list(roles)})
    oid = cast.person.oid if collection == "users" else cast.app.oid
    answer = await ask(cast, f"{collection}/{oid}/{call}".rstrip("/"), ids(GROUP) if call else None)
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["error"]["code"] == "Authorization_RequestDenied"


async def graph_claims(cast: Cast) -> dict[str, object]:
    return said(await cast.token(cast.form(cast.reader, GRAPH)))


async def test_a_token_for_something_else_is_no_token_for_graph(cast: Cast) -> None:
    sign, claims = cast.emulator.cloud.issuer.sign_for_graph, await graph_claims(cast)
    past = int((datetime.now(UTC) - timedelta(minutes=1)).timestamp())
    good = sign(claims)
    bad = {
        "for the API": await cast.token(cast.form(cast.app, SCOPE)),
        "ended": sign({**claims, "exp": past}),
        "of another audience": sign({**claims, "aud": "https://graph.windows.net"}),
        "of no tenant here": sign({**claims, "tid": UNKNOWN}),
        "of another tenant than it says": sign({**claims, "tid": OTHER}),
        "by a stranger": cast.emulator.cloud.workload.sign_for_graph(claims),
        "cut": good[:-4],
        "no token": "x",
    }
    for name, token in bad.items():
        answer = await ask(cast, f"servicePrincipals/{cast.app.oid}", token=token)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "InvalidAuthenticationToken"), name
    assert (await ask(cast, f"servicePrincipals/{cast.app.oid}", token=good)).status_code == 200


async def test_only_graph_can_check_a_token_for_graph(cast: Cast) -> None:
    token = await cast.token(cast.form(cast.reader, GRAPH))
    assert "nonce" in jwt.get_unverified_header(token)
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(
            token, cast.emulator.signing_key.private.public_key(), algorithms=["RS256"], options={"verify_aud": False}
        )


async def test_another_tenants_caller_sees_nobody_of_this_one(cast: Cast) -> None:
    claims = {**await graph_claims(cast), "tid": OTHER, "iss": cast.emulator.cloud.issuer.name(OTHER, 1)}
    token = cast.emulator.cloud.issuer.sign_for_graph(claims)
    assert (await ask(cast, f"servicePrincipals/{cast.app.oid}", token=token)).status_code == 404
    assert TENANT != OTHER


async def test_what_graph_has_besides_is_not_there(cast: Cast) -> None:
    for path in ("groups/x", "me", f"applications/{cast.app.oid}", f"servicePrincipals/{cast.app.oid}/ownedObjects"):
        assert (await ask(cast, path)).status_code in (404, 422)
