from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import pytest

from pgjit.errors import TokenRefused
from pgjit.identity.entra_claims import ExpectedEntraClaims, Issuer, read_identity
from pgjit.identity.identity import Credential, GroupId, Identity, IdentityKey, IdentityKind
from tests.run.rows import table

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
AT = int(NOW.timestamp())
TENANT = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
AUDIENCE = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
OTHER = "11111111-1111-4111-8111-111111111111"
GROUP = "5f0c8a3e-7d52-4c1b-9a64-1f6f2b0d9c11"
CLIENT = "9b2d7c1e-0f4a-4d8e-8b6c-5a3e1f2d4c60"
OID = "0d4b2a6e-91c7-4b55-8f0e-3c2f7a1e5d90"
HOST = "https://login.microsoftonline.com"
ISSUER = Issuer(issuer=f"{HOST}/{TENANT}/v2.0", tenant=TENANT, version="2.0", audiences=frozenset({AUDIENCE}))
EXPECTED = ExpectedEntraClaims(
    issuers=(ISSUER,),
    leeway=timedelta(seconds=60),
    max_age=timedelta(hours=24),
)
ABSENT = object()
APP: dict[str, object] = {
    "ver": "2.0",
    "iss": ISSUER.issuer,
    "tid": TENANT,
    "aud": AUDIENCE,
    "iat": AT - 300,
    "nbf": AT - 300,
    "exp": AT + 4500,
    "azp": CLIENT,
    "azpacr": "1",
    "idtyp": "app",
    "oid": OID,
    "sub": OID,
    "uti": "u-1",
    "groups": [GROUP],
}
USER: dict[str, object] = {**APP, "idtyp": "user", "scp": "access", "preferred_username": "ada@example.com"}


def judged(changes: Mapping[str, object] = MappingProxyType({}), base: Mapping[str, object] = APP) -> Identity:
    claims = {name: value for name, value in {**base, **changes}.items() if value is not ABSENT}
    return read_identity(claims, EXPECTED, NOW)


def test_an_app_token_becomes_its_service_principal() -> None:
    assert judged({"app_displayname": "schema-check-agent"}) == Identity(
        key=IdentityKey(TENANT, OID),
        kind=IdentityKind.APP,
        app_id=CLIENT,
        display="schema-check-agent",
        groups=frozenset([GroupId(GROUP)]),
        token_id="u-1",
        issued_at=NOW - timedelta(minutes=5),
        expires_at=NOW + timedelta(minutes=75),
        credential=Credential.SECRET,
    )


def test_the_object_id_tells_the_principal_and_not_subject_or_client() -> None:
    assert judged({"sub": "something-else", "azp": OTHER}).key == IdentityKey(TENANT, OID)


def test_guids_compare_in_lower_case() -> None:
    identity = judged({"oid": OID.upper(), "groups": [GROUP.upper(), GROUP], "azp": CLIENT.upper()})
    assert (identity.key.oid, identity.app_id) == (OID, CLIENT)
    assert identity.groups == frozenset([GroupId(GROUP)])


def test_no_groups_claim_is_no_groups() -> None:
    assert judged({"groups": ABSENT}).groups == judged({"groups": []}).groups == frozenset()


def test_claims_that_are_not_known_change_nothing() -> None:
    assert judged({"xms_new": {"a": [1]}, "wids": ["x"], "_claim_names": {"other": "src1"}}) == judged()


KINDS: dict[str, tuple[dict[str, object], IdentityKind]] = {
    "app": ({}, IdentityKind.APP),
    "app by its roles alone": ({"idtyp": ABSENT, "roles": ["Reader"]}, IdentityKind.APP),
    "app with the scope of none": ({"scp": "/"}, IdentityKind.APP),
    "user": ({"idtyp": "user", "scp": "access"}, IdentityKind.USER),
    "user by its scopes alone": ({"idtyp": ABSENT, "scp": "access", "roles": ["Reader"]}, IdentityKind.USER),
    "agent": ({"xms_act_fct": "11 3", "xms_sub_fct": "11 1"}, IdentityKind.AGENT),
    "agent of a blueprint": ({"xms_par_app_azp": OTHER}, IdentityKind.AGENT),
    "agent for a user": ({"idtyp": "user", "scp": "access", "xms_act_fct": "11"}, IdentityKind.USER),
    "agent's own user": (
        {"idtyp": "user", "scp": "access", "xms_act_fct": "11", "xms_sub_fct": "13"},
        IdentityKind.AGENT_USER,
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_the_kind_is_told_by_the_claims_that_are_meant_for_it(name: str) -> None:
    changes, kind = KINDS[name]
    assert judged(changes).kind is kind


REFUSED: dict[str, tuple[dict[str, object], str]] = {
    "version 1": ({"ver": "1.0"}, "wrong-version"),
    "version as a number": ({"ver": 2.0}, "bad-claim"),
    "no version": ({"ver": ABSENT}, "missing-claim"),
    "issuer of another tenant": ({"iss": f"{HOST}/{OTHER}/v2.0"}, "wrong-issuer"),
    "issuer of version 1": ({"iss": f"https://sts.windows.net/{TENANT}/"}, "wrong-issuer"),
    "issuer with a slash": ({"iss": f"{ISSUER.issuer}/"}, "wrong-issuer"),
    "issuer without its version": ({"iss": f"{HOST}/{TENANT}"}, "wrong-issuer"),
    "issuer inside another host": ({"iss": f"https://evil.example/{ISSUER.issuer[8:]}"}, "wrong-issuer"),
    "issuer with a suffix": ({"iss": f"{ISSUER.issuer}.evil.example"}, "wrong-issuer"),
    "issuer of another cloud": ({"iss": ISSUER.issuer.replace("online.com", "online.us")}, "wrong-issuer"),
    "issuer template": ({"iss": f"{HOST}/{{tenantid}}/v2.0"}, "wrong-issuer"),
    "issuer upper case": ({"iss": ISSUER.issuer.upper()}, "wrong-issuer"),
    "issuer list": ({"iss": [ISSUER.issuer]}, "bad-claim"),
    "no issuer": ({"iss": ABSENT}, "missing-claim"),
    "tenant of another": ({"tid": OTHER}, "wrong-tenant"),
    "tenant not a GUID": ({"tid": "contoso.com"}, "wrong-tenant"),
    "tenant template": ({"tid": "{tenantid}"}, "wrong-tenant"),
    "no tenant": ({"tid": ABSENT}, "missing-claim"),
    "audience of another API": ({"aud": OTHER}, "wrong-audience"),
    "audience Graph": ({"aud": "00000003-0000-0000-c000-000000000000"}, "graph-token"),
    "audience Graph by URL": ({"aud": "https://graph.microsoft.com/"}, "graph-token"),
    "audience Azure's PostgreSQL": ({"aud": "https://ossrdbms-aad.database.windows.net"}, "wrong-audience"),
    "audience resource manager": ({"aud": "https://management.azure.com/"}, "wrong-audience"),
    "audience token exchange": ({"aud": "api://AzureADTokenExchange"}, "wrong-audience"),
    "audience by URI": ({"aud": f"api://{AUDIENCE}"}, "wrong-audience"),
    "audience upper case": ({"aud": AUDIENCE.upper()}, "wrong-audience"),
    "audience with a slash": ({"aud": f"{AUDIENCE}/"}, "wrong-audience"),
    "audience prefix": ({"aud": AUDIENCE[:-1]}, "wrong-audience"),
    "audience empty": ({"aud": ""}, "wrong-audience"),
    "audience list": ({"aud": [AUDIENCE]}, "bad-claim"),
    "audience list of two": ({"aud": [AUDIENCE, OTHER]}, "bad-claim"),
    "audience null": ({"aud": None}, "bad-claim"),
    "no audience": ({"aud": ABSENT}, "missing-claim"),
    "no end": ({"exp": ABSENT}, "missing-claim"),
    "end null": ({"exp": None}, "bad-claim"),
    "end as text": ({"exp": str(AT + 4500)}, "bad-claim"),
    "end as a fraction": ({"exp": float(AT + 4500)}, "bad-claim"),
    "end true": ({"exp": True}, "bad-claim"),
    "end list": ({"exp": [AT + 4500]}, "bad-claim"),
    "end negative": ({"exp": -1}, "bad-claim"),
    "end beyond all calendars": ({"exp": 2**63}, "bad-claim"),
    "end in the year 9999": ({"exp": 253_402_300_799}, "bad-lifetime"),
    "end after ten years": ({"exp": AT + 10 * 365 * 86_400}, "bad-lifetime"),
    "end before the issue": ({"exp": AT - 10, "iat": AT + 10, "nbf": AT - 300}, "bad-lifetime"),
    "end at the leeway": ({"exp": AT - 60}, "expired"),
    "end at zero": ({"exp": 0}, "expired"),
    "no begin": ({"nbf": ABSENT}, "missing-claim"),
    "begin true": ({"nbf": True}, "bad-claim"),
    "begin beyond the leeway": ({"nbf": AT + 61}, "not-yet-valid"),
    "no issue": ({"iat": ABSENT}, "missing-claim"),
    "issue as text": ({"iat": str(AT)}, "bad-claim"),
    "issue beyond the leeway": ({"iat": AT + 61}, "issued-in-future"),
    "issue more than a day ago": ({"iat": AT - 86_401}, "too-old"),
    "issue at zero": ({"iat": 0}, "too-old"),
    "id token": ({"azp": ABSENT, "idtyp": ABSENT, "nonce": "n"}, "id-token"),
    "id token without a nonce": ({"azp": ABSENT, "idtyp": ABSENT}, "id-token"),
    "id token with a client": ({"c_hash": "x"}, "id-token"),
    "client not a GUID": ({"azp": "client"}, "bad-claim"),
    "two clients": ({"appid": OTHER}, "bad-claim"),
    "no sign of a kind": ({"idtyp": ABSENT}, "unknown-kind"),
    "empty signs of a kind": ({"idtyp": ABSENT, "roles": [], "scp": " "}, "unknown-kind"),
    "kind of a device": ({"idtyp": "device"}, "unknown-kind"),
    "kind null": ({"idtyp": None}, "bad-claim"),
    "app with scopes": ({"scp": "access"}, "unknown-kind"),
    "user without scopes": ({"idtyp": "user"}, "unknown-kind"),
    "scopes as a list": ({"scp": ["access"]}, "bad-claim"),
    "roles as text": ({"roles": "Reader"}, "bad-claim"),
    "roles of numbers": ({"roles": [1]}, "bad-claim"),
    "facets as numbers": ({"xms_act_fct": 11}, "bad-claim"),
    "facets as words": ({"xms_sub_fct": "agent"}, "bad-claim"),
    "app that is an agent's user": ({"xms_sub_fct": "13"}, "unknown-kind"),
    "no object id": ({"oid": ABSENT}, "missing-claim"),
    "object id not a GUID": ({"oid": "me"}, "bad-claim"),
    "object id with a newline": ({"oid": f"{OID}\n"}, "bad-claim"),
    "no subject": ({"sub": ABSENT}, "missing-claim"),
    "subject empty": ({"sub": ""}, "bad-claim"),
    "no token id": ({"uti": ABSENT}, "missing-claim"),
    "token id with a newline": ({"uti": "u\n1"}, "bad-claim"),
    "token id long": ({"uti": "u" * 129}, "bad-claim"),
    "groups as text": ({"groups": GROUP}, "bad-claim"),
    "groups as an object": ({"groups": {GROUP: True}}, "bad-claim"),
    "groups as numbers": ({"groups": [1]}, "bad-claim"),
    "groups null": ({"groups": None}, "bad-claim"),
    "groups by name": ({"groups": [GROUP, "admins"]}, "bad-claim"),
    "groups with spaces": ({"groups": [f" {GROUP}"]}, "bad-claim"),
    "groups with a newline": ({"groups": [f"{GROUP}\n"]}, "bad-claim"),
    "groups in braces": ({"groups": [f"{{{GROUP}}}"]}, "bad-claim"),
    "groups elsewhere": ({"groups": ABSENT, "_claim_names": {"groups": "src1"}}, "groups-overage"),
    "groups here and elsewhere": ({"_claim_names": {"groups": "src1"}}, "groups-overage"),
    "groups elsewhere, malformed": ({"_claim_names": ["groups"]}, "bad-claim"),
    "too many to say": ({"groups": ABSENT, "hasgroups": True}, "groups-overage"),
    "too many to say, as text": ({"groups": ABSENT, "hasgroups": "true"}, "groups-overage"),
}


@table("name", REFUSED)
def test_what_is_not_certain_is_refused(name: str) -> None:
    changes, reason = REFUSED[name]
    with pytest.raises(TokenRefused) as refused:
        judged(changes)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": AT - 59},
        {"nbf": AT + 60, "iat": AT + 60},
        {"iat": AT - 86_400, "nbf": AT - 86_400, "exp": AT + 300},
    ],
)
def test_the_edges_of_time_are_inside(changes: dict[str, object]) -> None:
    assert judged(changes).key.oid == OID


def test_a_token_for_graph_is_named_as_that_in_the_journal() -> None:
    with pytest.raises(TokenRefused) as refused:
        judged({"aud": "00000003-0000-0000-c000-000000000000"})
    assert refused.value.explanation.startswith("it is a token for Microsoft Graph")


DISPLAYS: dict[str, tuple[dict[str, object], str]] = {
    "user": ({}, "ada@example.com"),
    "name when nothing better": ({"preferred_username": "", "name": "Ada"}, "Ada"),
    "nothing at all": ({"preferred_username": ABSENT}, OID),
    "not text": ({"preferred_username": {"a": 1}}, OID),
    "control characters": ({"preferred_username": "ada\n\x1b[2J\u202eevil"}, "ada  [2J evil"),
    "too long": ({"preferred_username": "x" * 1000}, "x" * 128),
}


@pytest.mark.parametrize("name", DISPLAYS)
def test_what_is_shown_is_harmless(name: str) -> None:
    changes, shown = DISPLAYS[name]
    assert judged(changes, USER).display == shown


# --- what else a token tells ---------------------------------------------------------------------------------

ATTRIBUTES: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "a secret": ({"azpacr": "1"}, {"credential": Credential.SECRET}),
    "a certificate": ({"azpacr": "2"}, {"credential": Credential.CERTIFICATE}),
    "a certificate, in version 1": ({"azpacr": ABSENT, "appidacr": "2"}, {"credential": Credential.CERTIFICATE}),
    "a public client": ({"azpacr": "0"}, {"credential": Credential.NONE}),
    "a credential of a kind that is not known": ({"azpacr": "3"}, {"credential": None}),
    "no word of the credential": ({"azpacr": ABSENT}, {"credential": None}),
    "contexts": ({"acrs": ["c1", "c2"]}, {"acrs": frozenset({"c1", "c2"})}),
    "roles, not known to be of the first tenant": (
        {"roles": ["A.Read"]},
        {"roles": frozenset({f"{TENANT}/A.Read"})},
    ),
    "an agent": (
        {"xms_act_fct": "11", "xms_sub_fct": "11", "xms_par_app_azp": OTHER.upper()},
        {"kind": IdentityKind.AGENT, "blueprint_id": OTHER, "on_behalf_of": None},
    ),
    "an agent for a user": (
        {"idtyp": "user", "scp": "access", "xms_act_fct": "11", "xms_par_app_azp": OTHER},
        {"kind": IdentityKind.USER, "blueprint_id": OTHER, "on_behalf_of": OID, "is_user": True},
    ),
    "an agent for a user, recognised by its blueprint only": (
        {"idtyp": "user", "scp": "access", "xms_par_app_azp": OTHER},
        {"kind": IdentityKind.USER, "on_behalf_of": OID, "principals": {IdentityKind.USER, IdentityKind.AGENT}},
    ),
    "an agent for a user, recognised by its subject": (
        {"idtyp": "user", "scp": "access", "xms_sub_fct": "11"},
        {"kind": IdentityKind.USER, "on_behalf_of": OID},
    ),
    "an agent's own user": (
        {"idtyp": "user", "scp": "access", "xms_act_fct": "11", "xms_sub_fct": "13"},
        {"kind": IdentityKind.AGENT_USER, "on_behalf_of": None, "is_user": True},
    ),
    "a person": ({"idtyp": "user", "scp": "access"}, {"on_behalf_of": None, "is_user": True}),
}


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_what_the_claims_tell_is_in_the_identity(name: str) -> None:
    changes, attributes = ATTRIBUTES[name]
    identity = judged(changes)
    assert {attribute: getattr(identity, attribute) for attribute in attributes} == attributes


@pytest.mark.parametrize(
    "changes",
    [
        {"groups": ABSENT},
        {"groups": ABSENT, "_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "file:///x"}}},
        {"groups": ABSENT, "hasgroups": True},
    ],
)
def test_groups_that_the_token_leaves_out_are_unknown_where_a_directory_is_asked(
    changes: dict[str, object],
) -> None:
    identity = read_identity(
        {name: value for name, value in {**APP, **changes}.items() if value is not ABSENT},
        replace(EXPECTED, overage=True),
        NOW,
    )
    assert (identity.groups, identity.groups_known) == (frozenset(), False)


def test_groups_that_are_there_and_elsewhere_are_refused_everywhere() -> None:
    with pytest.raises(TokenRefused) as refused:
        read_identity({**APP, "_claim_names": {"groups": "src1"}}, replace(EXPECTED, overage=True), NOW)
    assert refused.value.reason == "groups-overage"


# --- tenants and versions ------------------------------------------------------------------------------------

FIRST = replace(ISSUER, first=True)
V1 = Issuer(
    issuer=f"https://sts.windows.net/{TENANT}/",
    tenant=TENANT,
    version="1.0",
    audiences=frozenset({AUDIENCE, "api://shop"}),
)
THEIRS = Issuer(issuer=f"{HOST}/{OTHER}/v2.0", tenant=OTHER, version="2.0", audiences=frozenset({AUDIENCE}))
BOTH = replace(EXPECTED, issuers=(ISSUER, V1, THEIRS))
OF_V1: dict[str, object] = {"ver": "1.0", "iss": V1.issuer, "aud": "api://shop"}
OF_THEM: dict[str, object] = {"iss": THEIRS.issuer, "tid": OTHER}


def test_only_roles_of_the_first_tenant_count_without_their_tenant() -> None:
    expected = replace(EXPECTED, issuers=(FIRST, THEIRS))
    roles = {"roles": ["A.Read"]}
    assert read_identity({**APP, **roles}, expected, NOW).roles == {"A.Read", f"{TENANT}/A.Read"}
    assert read_identity({**APP, **OF_THEM, **roles}, expected, NOW).roles == {f"{OTHER}/A.Read"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        (OF_V1, None),
        ({**OF_V1, "aud": AUDIENCE}, None),
        (OF_THEM, None),
        ({**OF_V1, "iss": ISSUER.issuer}, "wrong-version"),
        ({**OF_V1, "iss": V1.issuer.rstrip("/")}, "wrong-issuer"),
        ({**OF_V1, "ver": "2.0"}, "wrong-version"),
        ({**OF_V1, "aud": "api://shop/"}, "wrong-audience"),
        ({**OF_V1, "aud": "API://shop"}, "wrong-audience"),
        ({"aud": "api://shop"}, "wrong-audience"),
        ({**OF_THEM, "tid": TENANT}, "wrong-tenant"),
        ({"tid": OTHER}, "wrong-tenant"),
        ({**OF_V1, "tid": OTHER}, "wrong-tenant"),
        ({"iss": f"https://sts.windows.net/{OTHER}/", "tid": OTHER, "ver": "1.0"}, "wrong-issuer"),
    ],
)
def test_issuer_tenant_version_and_audience_have_to_agree(changes: dict[str, object], reason: str | None) -> None:
    claims = {**APP, **changes}
    if reason is None:
        assert read_identity(claims, BOTH, NOW).key == IdentityKey(str(claims["tid"]), OID)
        return
    with pytest.raises(TokenRefused) as refused:
        read_identity(claims, BOTH, NOW)
    assert refused.value.reason == reason
