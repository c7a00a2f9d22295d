"""What tokens say, by the API registration's settings and by whom they are about."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pgjit.demo.emulator import AZURE_CLI, Api, GroupClaims, PrincipalKind, RegisteredPrincipal, TenantDirectory
from pgjit.demo.emulator.claims import TokenSubject, access_claims
from pgjit.demo.emulator.directory import OPTIONAL_CLAIMS
from pgjit.demo.emulator.issuer import TokenIssuer
from pgjit.demo.emulator.resource import AskedResource, Resource

TENANT = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
AUDIENCE = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
URI = f"api://{AUDIENCE}"
OUTER, MIDDLE, INNER = (f"{n}0000000-0000-4000-8000-000000000000" for n in "123")
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)

ISSUER = TokenIssuer()
ISSUER.url, ISSUER.sts = "https://login.example", "https://sts.example"

PEOPLE = {
    "app": RegisteredPrincipal(kind=PrincipalKind.APP, display="app", contexts=("c1",), roles=("Read",)),
    "machine": RegisteredPrincipal(kind=PrincipalKind.MANAGED_IDENTITY, display="machine"),
    "person": RegisteredPrincipal(kind=PrincipalKind.USER, display="Ana Visser", contexts=("c1", "c2")),
}
CLI = RegisteredPrincipal(kind=PrincipalKind.APP, display="cli", client_id=AZURE_CLI, public=True)


def claims_of(
    who: str, api: Api, *, audience: str = AUDIENCE, directory: TenantDirectory | None = None
) -> dict[str, object]:
    principal = PEOPLE[who]
    subject = TokenSubject(
        principal, CLI if principal.kind.person else principal, "0" if principal.kind.person else "2"
    )
    asked = AskedResource(Resource.API, audience, ("access",))
    return access_claims(subject, asked, api, directory or TenantDirectory(TENANT), ISSUER, NOW)


@pytest.mark.parametrize("who", PEOPLE)
def test_the_version_is_the_apis_and_decides_issuer_and_names(who: str) -> None:
    one, two = (claims_of(who, Api(client_id=AUDIENCE, version=version), audience=URI) for version in (1, 2))
    assert (one["iss"], one["ver"], one["aud"]) == (f"https://sts.example/{TENANT}/", "1.0", URI)
    assert (two["iss"], two["ver"], two["aud"]) == (f"https://login.example/{TENANT}/v2.0", "2.0", AUDIENCE)
    assert one["appid"] == two["azp"]
    assert one["appidacr"] == two["azpacr"]
    assert {"azp", "azpacr", "preferred_username"}.isdisjoint(one)
    assert {"appid", "appidacr", "upn", "unique_name", "amr", "acr", "ipaddr", "idp"}.isdisjoint(two)
    assert one["oid"] == two["oid"] == PEOPLE[who].oid


@pytest.mark.parametrize(
    ("optional", "asked", "expected"),
    [
        ((), URI, URI),
        ((), AUDIENCE, AUDIENCE),
        (("use_guid",), URI, AUDIENCE),
    ],
)
def test_version_1_says_the_audience_as_it_was_asked_for(
    optional: tuple[str, ...], asked: str, expected: str
) -> None:
    api = Api(client_id=AUDIENCE, version=1, optional_claims=frozenset(optional))
    assert claims_of("app", api, audience=asked)["aud"] == expected


@pytest.mark.parametrize(
    ("who", "optional", "expected"),
    [
        ("app", (), {}),
        ("app", ("idtyp",), {"idtyp": "app"}),
        ("app", ("acrs", "xms_idrel"), {"acrs": ["c1"], "xms_idrel": "7"}),
        ("person", (), {}),
        ("person", ("idtyp",), {}),
        ("person", ("idtyp", "include_user_token"), {"idtyp": "user"}),
        ("person", ("acrs",), {"acrs": ["c1", "c2"]}),
        ("machine", ("idtyp", "acrs"), {"idtyp": "app"}),
    ],
)
def test_an_optional_claim_is_there_when_it_was_asked_for(
    who: str, optional: tuple[str, ...], expected: dict[str, object]
) -> None:
    claims = claims_of(who, Api(client_id=AUDIENCE, optional_claims=frozenset(optional)))
    assert {name: claims[name] for name in OPTIONAL_CLAIMS if name in claims} == expected


def test_only_the_token_of_a_person_has_scopes_and_a_pairwise_subject() -> None:
    api = Api(client_id=AUDIENCE)
    person, app = claims_of("person", api), claims_of("app", api)
    assert (person["scp"], person["azpacr"]) == ("access", "0")
    assert person["sub"] != person["oid"]
    assert "scp" not in app
    assert app["roles"] == ["Read"]
    assert app["sub"] == app["oid"]


def test_a_managed_identitys_token_is_good_for_a_day() -> None:
    api = Api(client_id=AUDIENCE)
    for who, hours in (("machine", 24), ("app", 1.25)):
        assert claims_of(who, api)["exp"] == int(NOW.timestamp() + hours * 3600)


GROUPS: dict[str, tuple[GroupClaims, frozenset[str], list[str]]] = {
    "none": (GroupClaims.NONE, frozenset(), []),
    "security, nested ones too": (GroupClaims.SECURITY, frozenset(), [INNER, MIDDLE, OUTER]),
    "assigned to the API, direct": (GroupClaims.APPLICATION, frozenset({INNER}), [INNER]),
    "assigned to the API, nested": (GroupClaims.APPLICATION, frozenset({MIDDLE, OUTER}), []),
}


@pytest.mark.parametrize("name", GROUPS)
def test_groups_are_those_that_the_api_asks_for(name: str) -> None:
    kind, assigned, expected = GROUPS[name]
    directory = TenantDirectory(TENANT)
    directory.add(PEOPLE["app"], [INNER])
    directory.join(MIDDLE, INNER)
    directory.join(OUTER, MIDDLE)
    directory.join(INNER, OUTER)  # a circle does no harm
    api = Api(client_id=AUDIENCE, group_claims=kind, assigned_groups=assigned)
    assert claims_of("app", api, directory=directory).get("groups", []) == expected


@pytest.mark.parametrize(("who", "kind"), [("app", "servicePrincipals"), ("person", "users")])
def test_beyond_the_limit_a_token_points_to_a_host_that_is_retired(who: str, kind: str) -> None:
    directory = TenantDirectory(TENANT)
    api = Api(client_id=AUDIENCE)
    ids = [f"{n:08x}-0000-4000-8000-000000000000" for n in range(201)]
    directory.add(PEOPLE[who], ids[:200])
    assert claims_of(who, api, directory=directory)["groups"] == ids[:200]
    directory.join(ids[200], PEOPLE[who].oid)
    claims = claims_of(who, api, directory=directory)
    assert "groups" not in claims
    assert claims["_claim_names"] == {"groups": "src1"}
    place = f"https://graph.windows.net/{TENANT}/{kind}/{PEOPLE[who].oid}/getMemberObjects"
    assert claims["_claim_sources"] == {"src1": {"endpoint": place}}
