"""The token endpoint's grants: what each gives, and what it refuses with Entra's own number."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.hashes import SHA256

from pgjit.demo.emulator import AZURE_CLI, Api, PrincipalKind, RegisteredPrincipal
from pgjit.demo.emulator.token_endpoint import DEVICE_CODE
from tests.demo.emulator.clouds import (
    AUDIENCE,
    EXCHANGE,
    GROUP,
    ON_BEHALF_OF,
    OTHER,
    SCOPE,
    SUBJECT,
    TENANT,
    Cast,
    Certified,
    begin,
    cast,
    redeem,
    said,
)
from tests.fakes.local_http import local_http

__all__ = ["cast"]  # a fixture


async def test_every_secret_of_an_app_is_taken_and_no_other(cast: Cast) -> None:
    for secret in cast.app.secrets:
        assert said(await cast.token(cast.form(cast.app, client_secret=secret)))["azpacr"] == "1"
    for secret in ("", "another ", "anothe", "only-for-testsx"):
        assert (await cast.post(cast.form(cast.app, client_secret=secret))).status_code == 401


async def test_a_secret_may_come_in_the_header(cast: Cast) -> None:
    async def ask(header: str) -> httpx.Response:
        form = {"grant_type": "client_credentials", "scope": SCOPE}
        async with local_http() as client:
            return await client.post(cast.place(), data=form, headers={"Authorization": header})

    def basic(secret: str) -> str:
        return "Basic " + base64.b64encode(f"{cast.app.client_id}:{secret}".encode()).decode()

    assert said((await ask(basic(cast.app.secrets[0]))).json()["access_token"])["oid"] == cast.app.oid
    assert (await ask(basic("guess"))).json()["error_codes"] == [7000215]
    for header in ("Basic", "Basic ???", "Basic YWJj", "Basic /w=="):
        assert (await ask(header)).json()["error_codes"] == [9002313]


async def test_an_app_may_ask_by_any_name_of_the_api_and_of_graph(cast: Cast) -> None:
    for scope in (SCOPE, f"api://{SCOPE}"):
        assert said(await cast.token(cast.form(cast.app, scope)))["aud"] == AUDIENCE
    for resource in ("https://graph.microsoft.com", "00000003-0000-0000-c000-000000000000", cast.emulator.url):
        claims = said(await cast.token(cast.form(cast.reader, f"{resource}/.default")))
        assert (claims["aud"], claims["ver"]) == (resource, "1.0")
        assert claims["roles"] == list(cast.reader.graph_roles)


@pytest.mark.parametrize("named_by", ["x5t", "x5t#S256"])
async def test_an_app_proves_itself_by_its_certificate(cast: Cast, named_by: str) -> None:
    thumbprint = cast.certificate.sha1 if named_by == "x5t" else cast.certificate.sha256
    for audience in (cast.place(), cast.place("v2.0"), cast.place("oauth2/token")):
        assertion = cast.certificate.assertion(str(cast.certified.client_id), audience, {named_by: thumbprint})
        claims = said(await cast.token(cast.form(cast.certified, client_assertion=assertion)))
        assert (claims["azpacr"], claims["oid"]) == ("2", cast.certified.oid)
        await cast.token(cast.form(cast.certified, client_assertion=assertion))  # again, as libraries do


def late(**changes: float) -> int:
    return int((datetime.now(UTC) + timedelta(**changes)).timestamp())


BAD_ASSERTIONS: dict[str, tuple[Callable[[Cast], str], int]] = {
    "of a stranger's certificate": (lambda c: own(c, Certified()), 700027),
    "of a stranger's key under its thumbprint": (
        lambda c: Certified().assertion(str(c.certified.client_id), c.place(), {"x5t": c.certificate.sha1}),
        700027,
    ),
    "without a thumbprint": (lambda c: own(c, header={"kid": c.certificate.sha1}), 700027),
    "SHA-256 good, SHA-1 not looked at": (
        lambda c: own(c, header={"x5t#S256": "AAAA", "x5t": c.certificate.sha1}),
        700027,
    ),
    "for another endpoint": (lambda c: own(c, aud="https://login.microsoftonline.com/x/v2.0"), 700023),
    "for another tenant": (lambda c: own(c, aud=c.place(tenant=OTHER)), 700023),
    "of another app": (lambda c: own(c, sub=str(c.app.client_id)), 700021),
    "without an end": (lambda c: own(c, exp=None), 50027),
    "with an end that is text": (lambda c: own(c, exp=str(late(minutes=5))), 50027),
    "ended": (lambda c: own(c, exp=late(minutes=-6), nbf=late(hours=-1)), 700024),
    "not begun": (lambda c: own(c, nbf=late(minutes=10), exp=late(minutes=20)), 700024),
    "without an id": (lambda c: own(c, jti=None), 50027),
    "no JWT": (lambda c: "not.a.jwt", 50027),
    "too large": (lambda c: "a" * 40_000, 50027),
    "HS256 by the certificate": (
        lambda c: jwt.encode(
            {"iss": str(c.certified.client_id)},
            c.certificate.certificate.fingerprint(SHA256()),
            algorithm="HS256",
            headers={"x5t": c.certificate.sha1},
        ),
        50027,
    ),
    "unsigned": (lambda c: jwt.encode({"iss": str(c.certified.client_id)}, "", algorithm="none"), 50027),
}


def own(cast: Cast, by: Certified | None = None, header: dict[str, object] | None = None, **changes: object) -> str:
    return (by or cast.certificate).assertion(str(cast.certified.client_id), cast.place(), header, **changes)


@pytest.mark.parametrize("name", BAD_ASSERTIONS)
async def test_an_assertion_that_proves_nothing_is_refused(cast: Cast, name: str) -> None:
    make, number = BAD_ASSERTIONS[name]
    response = await cast.post(cast.form(cast.certified, client_assertion=make(cast)))
    assert (response.status_code, response.json()["error_codes"]) == (401, [number])


async def test_a_certificate_that_is_over_is_refused(cast: Cast) -> None:
    old = Certified(days=-1)
    cast.certified.certificates += (old.certificate,)
    response = await cast.post(cast.form(cast.certified, client_assertion=own(cast, old)))
    assert response.json()["error_codes"] == [7000222]


async def workload_token(cast: Cast, subject: str = SUBJECT, audience: str = "api://AzureADTokenExchange") -> str:
    answer = await cast.admin("POST", "workload-tokens", {"subject": subject, "audience": audience})
    return str(answer.json()["token"])


async def test_a_federated_token_is_taken_in_place_of_a_secret(cast: Cast) -> None:
    form = cast.form(cast.federated, client_assertion=await workload_token(cast))
    claims = said(await cast.token(form))
    assert (claims["oid"], claims["azpacr"], claims["groups"]) == (cast.federated.oid, "2", [GROUP])


@pytest.mark.parametrize(
    ("subject", "audience", "number"),
    [
        ("system:serviceaccount:agents:another", "api://AzureADTokenExchange", 700213),
        (SUBJECT, "sts.amazonaws.com", 700212),
    ],
)
async def test_a_federated_token_of_someone_else_is_refused(
    cast: Cast, subject: str, audience: str, number: int
) -> None:
    form = cast.form(cast.federated, client_assertion=await workload_token(cast, subject, audience))
    assert (await cast.post(form)).json()["error_codes"] == [number]


async def test_a_federated_token_of_another_issuer_or_key_is_refused(cast: Cast) -> None:
    claims = {**said(await workload_token(cast)), "iss": "https://evil.example"}
    form = cast.form(cast.federated, client_assertion=cast.emulator.cloud.workload.sign(claims))
    assert (await cast.post(form)).json()["error_codes"] == [700211]
    claims["iss"] = cast.emulator.cloud.workload_issuer
    form = cast.form(cast.federated, client_assertion=cast.emulator.sign(claims))
    assert (await cast.post(form)).json()["error_codes"] == [7000272]


REFUSED: dict[str, tuple[Callable[[Cast], dict[str, str]], int, str, int]] = {
    "a public client on its own": (
        lambda c: {"grant_type": "client_credentials", "client_id": AZURE_CLI, "scope": SCOPE}, 400,
        "unauthorized_client", 700025,
    ),
    "a public client with a secret": (
        lambda c: {**c.form(c.certified), "client_id": AZURE_CLI, "client_secret": "x"}, 401,
        "invalid_client", 700025,
    ),
    "a blueprint for itself": (lambda c: c.form(c.blueprint), 400, "unauthorized_client", 82001),
    "an agent that is not of the blueprint": (
        lambda c: c.form(c.blueprint, EXCHANGE, fmi_path=str(c.app.client_id)), 400, "invalid_request", 82002,
    ),
    "an app with an agent's path": (
        lambda c: c.form(c.app, EXCHANGE, fmi_path=str(c.agent.client_id)), 400, "invalid_request", 82002,
    ),
    "an agent's user without the agent": (
        lambda c: c.form(c.app, grant_type="user_fic"), 400, "unauthorized_client", 82003,
    ),
    "a managed identity that asks here": (
        lambda c: c.form(c.machine, client_secret="x"), 400, "unauthorized_client", 700016,
    ),
    "an assertion of no kind": (
        lambda c: c.form(c.certified) | {"client_assertion": own(c)}, 400, "invalid_request", 900144,
    ),
    "a refresh token that was never given": (
        lambda c: {"grant_type": "refresh_token", "client_id": AZURE_CLI, "refresh_token": "1.x"}, 400,
        "invalid_grant", 9002313,
    ),
    "a device code that was never given": (
        lambda c: {"grant_type": DEVICE_CODE, "client_id": AZURE_CLI, "device_code": "x"}, 400,
        "bad_verification_code", 70019,
    ),
    "on behalf of nobody": (
        lambda c: c.form(c.app, grant_type=ON_BEHALF_OF, requested_token_use="on_behalf_of"), 400,
        "invalid_request", 900144,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
async def test_what_a_client_may_not_have_it_does_not_get(cast: Cast, name: str) -> None:
    make, status, error, number = REFUSED[name]
    response = await cast.post(make(cast))
    answer = response.json()
    assert (response.status_code, answer["error"], answer["error_codes"]) == (status, error, [number])
    assert "access_token" not in answer


@pytest.mark.parametrize("tenant", ["common", "organizations"])
async def test_an_app_has_to_say_which_tenant(cast: Cast, tenant: str) -> None:
    assert (await cast.post(cast.form(cast.app), tenant=tenant)).json()["error_codes"] == [50059]


async def test_an_app_is_of_its_own_tenant_only(cast: Cast) -> None:
    assert (await cast.post(cast.form(cast.app), tenant=OTHER)).json()["error_codes"] == [700016]
    stranger = cast.emulator.cloud.tenants[OTHER].add(
        RegisteredPrincipal(kind=PrincipalKind.APP, display="x", secrets=("only-for-tests",))
    )
    response = await cast.post(cast.form(stranger), tenant=OTHER)
    claims = said(response.json()["access_token"])
    assert (claims["tid"], claims["iss"]) == (OTHER, f"{cast.emulator.url}/{OTHER}/v2.0")


@pytest.mark.parametrize("gone", ["disabled", "deleted"])
async def test_who_is_disabled_or_deleted_gets_no_token(cast: Cast, gone: str) -> None:
    if gone == "disabled":
        await cast.admin("PATCH", f"principals/{cast.app.oid}", {"enabled": False})
    else:
        await cast.admin("DELETE", f"principals/{cast.app.oid}", status=204)
    number = 7000112 if gone == "disabled" else 700016
    assert (await cast.post(cast.form(cast.app))).json()["error_codes"] == [number]


async def test_with_assignment_required_a_role_is_needed(cast: Cast) -> None:
    cast.emulator.cloud.api = Api(client_id=AUDIENCE, assignment_required=True)
    assert (await cast.post(cast.form(cast.app))).json()["error_codes"] == [501051]
    await cast.admin("PATCH", f"principals/{cast.app.oid}", {"roles": ["Database.Read"]})
    assert said(await cast.token(cast.form(cast.app)))["roles"] == ["Database.Read"]


# --- version 1 of the endpoint -----------------------------------------------------------------------------


async def test_the_old_endpoint_takes_a_resource_and_the_api_still_decides_the_version(cast: Cast) -> None:
    form = {**cast.form(cast.app), "resource": f"api://{AUDIENCE}"}
    del form["scope"]
    answer = (await cast.post(form, "oauth2/token")).json()
    assert (answer["resource"], answer["expires_in"]) == (f"api://{AUDIENCE}", "4499")
    assert said(answer["access_token"])["ver"] == "2.0"


# --- people ------------------------------------------------------------------------------------------------


async def test_a_person_says_yes_to_a_device_and_it_gets_one_token(cast: Cast) -> None:
    code = await begin(cast)
    assert (await redeem(cast, code)).json()["error"] == "authorization_pending"
    assert (await cast.admin("GET", "state")).json()["device_codes"] == [code["user_code"]]
    await cast.admin("POST", f"device-codes/{code['user_code']}", {"user": "ana.visser@example.com"}, status=204)
    answer = (await redeem(cast, code)).json()
    claims = said(answer["access_token"])
    assert (claims["oid"], claims["scp"], claims["idtyp"], claims["azpacr"]) == (
        cast.person.oid,
        "access",
        "user",
        "0",
    )
    assert claims["sub"] != claims["oid"]
    identity = said(answer["id_token"])
    assert (identity["aud"], identity["oid"]) == (AZURE_CLI, cast.person.oid)
    uid = json.loads(base64.urlsafe_b64decode(answer["client_info"] + "=="))
    assert uid == {"uid": cast.person.oid, "utid": TENANT}
    assert (await redeem(cast, code)).json()["error"] == "bad_verification_code"


async def test_a_refresh_token_gives_another_token_to_its_client_only(cast: Cast) -> None:
    cast.emulator.cloud.codes.approver = cast.person.oid
    answer = (await redeem(cast, await begin(cast, tenant="common"), "common")).json()
    form = {"grant_type": "refresh_token", "client_id": AZURE_CLI, "refresh_token": answer["refresh_token"]}
    assert said((await cast.post(form)).json()["access_token"])["oid"] == cast.person.oid
    assert (await cast.post({**form, "client_id": str(cast.app.client_id)})).json()["error"] == "invalid_grant"
    await cast.admin("PATCH", f"principals/{cast.person.oid}", {"enabled": False})
    assert (await cast.post(form)).json()["error_codes"] == [50057]


async def test_a_person_who_says_no_is_heard(cast: Cast) -> None:
    code = await begin(cast)
    await cast.admin("POST", f"device-codes/{code['user_code']}", {"user": None}, status=204)
    assert (await redeem(cast, code)).json()["error"] == "authorization_declined"
    await cast.admin("POST", "device-codes/NOSUCHCOD", {"user": None}, status=404)


async def test_a_code_that_nobody_wanted_runs_out(cast: Cast) -> None:
    code = await begin(cast)
    at = datetime.now(UTC) + timedelta(minutes=16)
    cast.emulator.cloud.now = lambda: at
    assert (await redeem(cast, code)).json()["error"] == "expired_token"


async def test_somebody_else_cannot_be_approved(cast: Cast) -> None:
    cast.emulator.cloud.codes.approver = "nobody@example.com"
    assert (await redeem(cast, await begin(cast))).json()["error_codes"] == [50034]


@pytest.mark.parametrize(
    "scope", ["https://evil.example/x openid", f"{AUDIENCE}/nonsense", f"{AUDIENCE}/access Mail.Read"]
)
async def test_a_scope_that_nobody_knows_begins_nothing(cast: Cast, scope: str) -> None:
    assert "device_code" not in await begin(cast, scope)


# --- agents ------------------------------------------------------------------------------------------------
