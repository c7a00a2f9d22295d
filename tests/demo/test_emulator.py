from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
from datetime import UTC, datetime
from pathlib import Path

import httpx
import jwt
import pytest
from fastapi.routing import APIRoute

from pgjit.demo.certificates import make_certificates
from pgjit.demo.emulator import AppCredentials, Emulator, EmulatorSettings, FaultKind, PrincipalKind, read_settings
from pgjit.demo.emulator.admin import admin_api
from pgjit.demo.emulator.faults import ENDPOINTS
from pgjit.errors import InvalidFile
from pgjit.identity.providers.entra import EntraProvider
from tests.fakes.local_http import local_http
from tests.fixtures.tokens import AUDIENCE, GROUP, TENANT, agent_app, emulator, settings_for

__all__ = ["emulator"]  # a fixture

OTHER = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def app(emulator: Emulator) -> AppCredentials:
    return agent_app(emulator)


def form(app: AppCredentials, **changes: str | None) -> dict[str, str]:
    usual = {
        "grant_type": "client_credentials",
        "client_id": app.client_id,
        "client_secret": app.client_secret,
        "scope": f"{AUDIENCE}/.default",
    }
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


async def get(emulator: Emulator, path: str) -> httpx.Response:
    async with local_http() as client:
        return await client.get(emulator.url + path)


async def post(
    emulator: Emulator,
    data: dict[str, str] | bytes,
    kind: str = "application/x-www-form-urlencoded",
    tenant: str = TENANT,
) -> httpx.Response:
    body = str(httpx.QueryParams(data)).encode() if isinstance(data, dict) else data
    async with local_http() as client:
        return await client.post(
            f"{emulator.url}/{tenant}/oauth2/v2.0/token", content=body, headers={"content-type": kind}
        )


async def test_metadata_leads_to_keys_and_token_endpoint(emulator: Emulator) -> None:
    metadata = (await get(emulator, f"/{TENANT}/v2.0/.well-known/openid-configuration")).json()
    assert metadata["issuer"] == emulator.issuer == f"{emulator.url}/{TENANT}/v2.0"
    assert metadata["jwks_uri"] == f"{emulator.url}/{TENANT}/discovery/v2.0/keys"
    assert metadata["token_endpoint"] == f"{emulator.url}/{TENANT}/oauth2/v2.0/token"


async def test_keys_are_published_without_their_private_halves(emulator: Emulator) -> None:
    emulator.rotate_keys(keep_old=True)
    [new, old] = (await get(emulator, f"/{TENANT}/discovery/v2.0/keys")).json()["keys"]
    assert new["kid"] == emulator.signing_key.kid != old["kid"]
    for key in (new, old):
        assert key.keys() == {"kty", "use", "kid", "x5t", "n", "e", "x5c", "issuer"}


async def test_a_token_says_what_an_app_only_token_of_entra_says(emulator: Emulator, app: AppCredentials) -> None:
    response = await post(emulator, form(app))
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    answer = response.json()
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 4499)
    token = answer["access_token"]
    assert jwt.get_unverified_header(token) == {"typ": "JWT", "alg": "RS256", "kid": emulator.signing_key.kid}
    public = emulator.signing_key.private.public_key()
    claims = jwt.decode(token, public, algorithms=["RS256"], audience=AUDIENCE, issuer=emulator.issuer)
    assert claims["oid"] == claims["sub"] == app.oid != app.client_id == claims["azp"]
    said = {name: claims[name] for name in ("ver", "tid", "idtyp", "azpacr", "groups")}
    assert said == {"ver": "2.0", "tid": TENANT, "idtyp": "app", "azpacr": "1", "groups": [GROUP]}
    assert claims["exp"] - claims["iat"] == 80 * 60
    assert claims["uti"]


async def test_a_token_got_over_http_opens_the_door(emulator: Emulator, app: AppCredentials) -> None:
    provider = EntraProvider(settings_for(emulator))
    await provider.start()
    for scope in (f"{AUDIENCE}/.default", f"api://{AUDIENCE}/.default"):
        token = (await post(emulator, form(app, scope=scope))).json()["access_token"]
        assert (await provider.verify(token, datetime.now(UTC))).key.oid == app.oid
    await provider.close()


REFUSED: dict[str, tuple[dict[str, str | None], int, str, int]] = {
    "bad secret": ({"client_secret": "guess"}, 401, "invalid_client", 7000215),
    "secret that is not ASCII": ({"client_secret": "gü€ss"}, 401, "invalid_client", 7000215),
    "no secret": ({"client_secret": None}, 401, "invalid_client", 7000218),
    "unknown app": ({"client_id": OTHER}, 400, "unauthorized_client", 700016),
    "no app": ({"client_id": None}, 400, "invalid_request", 900144),
    "no grant": ({"grant_type": None}, 400, "invalid_request", 900144),
    "grant of a password": ({"grant_type": "password"}, 400, "unsupported_grant_type", 70003),
    "no scope": ({"scope": ""}, 400, "invalid_request", 900144),
    "single scope": ({"scope": f"api://{AUDIENCE}/read"}, 400, "invalid_scope", 1002012),
    "two scopes": ({"scope": f"{AUDIENCE}/.default openid"}, 400, "invalid_scope", 1002012),
    "another resource": ({"scope": f"{OTHER}/.default"}, 400, "invalid_resource", 500011),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_bad_request_gets_entras_error_and_no_token(
    emulator: Emulator, app: AppCredentials, name: str
) -> None:
    changes, status, error, number = REFUSED[name]
    response = await post(emulator, form(app, **changes))
    answer = response.json()
    assert (response.status_code, answer["error"], answer["error_codes"]) == (status, error, [number])
    assert answer["error_description"].startswith(f"AADSTS{number}: ")
    assert "access_token" not in answer
    assert app.client_secret not in response.text


BODIES: dict[str, tuple[bytes, str, int]] = {
    "JSON": (b"{}", "application/json", 400),
    "a parameter twice": (b"client_id=a&client_id=b", "application/x-www-form-urlencoded", 400),
    "not UTF-8": (b"\xff\xfe", "application/x-www-form-urlencoded", 400),
    "not UTF-8 by escape": (b"client_id=%ff", "application/x-www-form-urlencoded", 400),
    "too many parameters": (b"&".join(b"a%d=1" % n for n in range(200)), "application/x-www-form-urlencoded", 400),
    "too large": (b"a=" + b"x" * 70_000, "application/x-www-form-urlencoded", 413),
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_body_that_is_no_form_is_refused(emulator: Emulator, name: str) -> None:
    body, kind, status = BODIES[name]
    response = await post(emulator, body, kind)
    assert (response.status_code, response.json()["error"]) == (status, "invalid_request")


async def test_another_tenant_is_not_found_anywhere(emulator: Emulator, app: AppCredentials) -> None:
    for path in (f"/{OTHER}/v2.0/.well-known/openid-configuration", f"/{OTHER}/discovery/v2.0/keys"):
        response = await get(emulator, path)
        assert (response.status_code, response.json()["error"]) == (400, "invalid_tenant")
    assert (await post(emulator, form(app), tenant=OTHER)).json()["error"] == "invalid_tenant"
    assert (await get(emulator, "/docs")).status_code == 404


async def test_it_closes_cleanly_frees_its_port_and_starts_again_there(emulator: Emulator) -> None:
    port = httpx.URL(emulator.url).port
    assert port is not None
    async with local_http() as client:  # its connection is open while the emulator closes
        await client.get(f"{emulator.url}/{TENANT}/discovery/v2.0/keys")
        await emulator.close()
        await emulator.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    assert others == set()
    await emulator.start(port=port)
    assert httpx.URL(emulator.url).port == port
    assert (await get(emulator, f"/{TENANT}/discovery/v2.0/keys")).status_code == 200


async def test_it_leaves_signals_to_the_program() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    running = Emulator()
    await running.start()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    await running.close()


async def test_a_port_that_is_taken_and_a_second_start_are_errors(emulator: Emulator) -> None:
    port = httpx.URL(emulator.url).port
    assert port is not None
    with pytest.raises(OSError, match="in use"):
        await Emulator().start(port=port)
    with pytest.raises(RuntimeError, match="running"):
        await emulator.start()


async def test_tokens_are_issued_under_the_name_that_is_given() -> None:
    named = Emulator.from_settings(EmulatorSettings(url="http://emulator:8080", tenant=TENANT, audience=AUDIENCE))
    await named.start("0.0.0.0")
    assert named.issuer == f"http://emulator:8080/{TENANT}/v2.0"
    await named.close()


async def test_listening_anywhere_is_reached_on_this_machine() -> None:
    running = Emulator()
    await running.start("0.0.0.0")
    assert running.url.startswith("http://127.0.0.1:")
    assert (await get(running, f"/{running.tenant}/discovery/v2.0/keys")).status_code == 200
    await running.close()


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
async def test_an_ipv6_address_is_written_in_brackets() -> None:
    running = Emulator()
    try:
        await running.start("::1")
    except OSError:
        pytest.skip("no IPv6 loopback here")
    assert running.url.startswith("http://[::1]:")
    await running.close()


def test_ids_are_made_up_and_differ_unless_given() -> None:
    one, other = Emulator(), Emulator()
    assert len({one.tenant, other.tenant, one.audience, other.audience}) == 4
    made, fixed = one.add_app("a"), one.add_app("b", client_id=OTHER)
    assert len({made.client_id, made.oid, fixed.client_id, fixed.oid}) == 4
    assert fixed.oid == other.add_app("c", client_id=OTHER).oid
    assert made.client_secret not in repr(made)


SETTINGS = f"""\
url: http://emulator:8080
tenant: {TENANT.upper()}
audience: {AUDIENCE}
apps:
  - name: schema-check-agent
    client_id: {OTHER}
    secret: only-for-trying-out
    groups: [{GROUP}]
"""


def test_settings_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "emulator.yaml"
    path.write_text(SETTINGS)
    settings = read_settings(path)
    assert (settings.url, settings.tenant, settings.audience) == ("http://emulator:8080", TENANT, AUDIENCE)
    [app] = settings.apps
    assert (app.display, app.client_id, app.groups) == ("schema-check-agent", OTHER, (GROUP,))
    assert app.client_secret == "only-for-trying-out"


ROOT = Path(__file__).parents[2]


def test_the_file_of_the_trial_set_up_is_read() -> None:
    settings = read_settings(ROOT / "docker" / "emulator.yaml")
    assert (settings.tenant, settings.audience) == (TENANT, AUDIENCE)
    assert [member.principal.kind for member in settings.members] == [
        PrincipalKind.APP,
        PrincipalKind.APP,
        PrincipalKind.MANAGED_IDENTITY,
        PrincipalKind.USER,
    ]


async def test_the_file_that_the_documents_show_is_read_and_served(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "entra.md").read_text(encoding="utf-8")
    path = tmp_path / "emulator.yaml"
    path.write_text(page.split("```yaml\n")[1].split("```")[0])
    settings = read_settings(path)
    assert (settings.approver, settings.tenants) == ("ana@example.com", (OTHER.replace("1", "2"),))
    running = Emulator(settings)
    names = {each.display for each in running.directory.principals.values()}
    assert {"schema-check-agent", "a-vm", "Ana Visser", "pgjit"} < names
    agent = next(each for each in running.directory.principals.values() if each.display == "schema-check-agent")
    assert len(running.directory.groups_of(agent.oid)) == 2


def test_the_documents_name_every_endpoint_of_the_admin_api_and_every_fault() -> None:
    page = (ROOT / "docs" / "entra.md").read_text(encoding="utf-8")
    for name in ENDPOINTS | set(FaultKind):
        assert f"`{name}`" in page
    running = Emulator()
    router = admin_api(running.cloud, running.faults, key=None, open_to_all=lambda: True, sign_anything=False)
    for route in router.routes:
        assert isinstance(route, APIRoute)
        stem = re.sub(r"\{.*", "", route.path).rstrip("/")
        assert stem in page, route.path


MORE = f"principals: [{{kind: KIND, name: x, oid: {OTHER}}}]\n"
MORE_FAULTS = {
    "a key that is none": "principals: [{name: x, surprise: 1}]\n",
    "an agent without a blueprint": MORE.replace("KIND", "agent"),
    "a person with a secret": MORE.replace("KIND", "user, secret: x"),
    "a certificate that is not there": "principals: [{name: x, certificate: nowhere.pem}]\n",
    "a claim that is none": "api: {optional_claims: [surprise]}\n",
    "a version that is none": "api: {version: 3}\n",
    "a key to the admin API that is short": "admin_key: short\n",
    "a client id twice": f"principals: [{{name: x, client_id: {OTHER}}}]\n",
    "a group that is in nothing": f"groups: [{{id: {OTHER}}}]\n",
}


@pytest.mark.parametrize("name", MORE_FAULTS)
def test_what_makes_no_sense_in_the_file_is_a_fault(tmp_path: Path, name: str) -> None:
    path = tmp_path / "emulator.yaml"
    path.write_text(SETTINGS + MORE_FAULTS[name])
    with pytest.raises(InvalidFile) as invalid:
        read_settings(path)
    [fault] = invalid.value.faults
    assert fault.startswith(f"{path}:9:")


def test_a_certificate_is_read_beside_the_file(tmp_path: Path) -> None:
    certificate = make_certificates(tmp_path).certificate
    path = tmp_path / "emulator.yaml"
    path.write_text(f"{SETTINGS}principals: [{{name: x, certificate: {certificate.name}}}]\n")
    [member] = read_settings(path).members
    assert len(member.principal.certificates) == 1


FAULTY = {
    "tenant": SETTINGS.replace(TENANT.upper(), "contoso.com"),
    "groups": SETTINGS.replace(GROUP, "admins"),
    "url": SETTINGS.replace("http://emulator:8080", "http://emulator/path"),
    "browser_url": SETTINGS + "browser_url: localhost:8080\n",
    "surprise": SETTINGS + "surprise: 1\n",
    "secret": SETTINGS.replace("    secret: only-for-trying-out\n", ""),
    "apps": SETTINGS.split("apps:", maxsplit=1)[0],
    "client_id": SETTINGS + f"  - {{name: b, client_id: {OTHER}, secret: x}}\n",
}


@pytest.mark.parametrize("key", FAULTY)
def test_a_fault_in_the_file_is_told_with_its_place(tmp_path: Path, key: str) -> None:
    path = tmp_path / "emulator.yaml"
    path.write_text(FAULTY[key])
    with pytest.raises(InvalidFile) as invalid:
        read_settings(path)
    assert all(fault.startswith(f"{path}:") for fault in invalid.value.faults)
    assert any(key in fault for fault in invalid.value.faults)


def test_raw_bytes_are_signed_as_they_are() -> None:
    running = Emulator()
    token = running.sign(b'{"a":1,"a":2}', b'{"alg":"none"}')
    assert jwt.get_unverified_header(token) == {"alg": "none"}
    assert jwt.decode(token, options={"verify_signature": False}) == json.loads('{"a":2}')
