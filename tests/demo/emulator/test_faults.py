"""Faults on demand, and the counters that show how often an endpoint was asked."""

from __future__ import annotations

import asyncio
import ssl

import httpx
import pytest

from pgjit.demo.emulator import Fault, FaultKind
from pgjit.demo.emulator.faults import endpoint_of
from tests.demo.emulator.clouds import AUDIENCE, TENANT, Cast, cast
from tests.fakes.local_http import local_http

__all__ = ["cast"]  # a fixture

KEYS = f"/{TENANT}/discovery/v2.0/keys"

PATHS = {
    f"/{TENANT}/v2.0/.well-known/openid-configuration": "metadata",
    "/common/.well-known/openid-configuration": "metadata",
    KEYS: "keys",
    f"/{TENANT}/discovery/keys": "keys",
    "/common/discovery/instance": "instance",
    f"/{TENANT}/oauth2/v2.0/token": "token",
    f"/{TENANT}/oauth2/token": "token",
    f"/{TENANT}/oauth2/v2.0/devicecode": "device-code",
    "/workload/keys": "workload",
    "/metadata/identity/oauth2/token": "managed-identity",
    "/msi/token": "managed-identity",
    "/v1.0/users/x/checkMemberGroups": "graph.checkMemberGroups",
    "/v1.0/users/x/getMemberGroups": "graph.getMemberObjects",
    "/v1.0/users/x/transitiveMemberOf": "graph.transitiveMemberOf",
    "/v1.0/users/x": "graph.principal",
    "/admin/faults/keys": None,
    "/": None,
}


@pytest.mark.parametrize("path", PATHS)
def test_every_path_is_of_one_endpoint(path: str) -> None:
    assert endpoint_of(path) == PATHS[path]


async def get(cast: Cast, path: str = KEYS, timeout: float = 5) -> httpx.Response:
    async with local_http(timeout=timeout) as client:
        return await client.get(cast.emulator.url + path)


async def put(cast: Cast, endpoint: str = "keys", **fault: object) -> None:
    await cast.admin("PUT", f"faults/{endpoint}", fault, status=204)


async def test_a_status_comes_instead_of_an_answer_as_often_as_was_said(cast: Cast) -> None:
    await put(cast, kind="status", status=429, retry_after="7", times=2)
    for _ in range(2):
        answer = await get(cast)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert (await get(cast)).status_code == 200
    assert (await cast.admin("GET", "counters")).json() == {"keys": 3}


async def test_a_fault_stays_until_it_is_taken_away(cast: Cast) -> None:
    await put(cast, kind="status", status=503)
    await put(cast, "metadata", kind="status")
    assert [(await get(cast)).status_code for _ in range(3)] == [503] * 3
    assert set((await cast.admin("GET", "faults")).json()) == {"keys", "metadata"}
    await cast.admin("DELETE", "faults/keys", status=204)
    assert (await get(cast)).status_code == 200
    await cast.admin("DELETE", "faults", status=204)
    assert (await get(cast, f"/{TENANT}/v2.0/.well-known/openid-configuration")).status_code == 200


async def test_anything_can_stand_in_the_body(cast: Cast) -> None:
    await put(cast, kind="body", body='{"keys": [', content_type="text/html")
    answer = await get(cast)
    assert (answer.status_code, answer.text, answer.headers["content-type"]) == (200, '{"keys": [', "text/html")


async def test_a_redirect_leads_away(cast: Cast) -> None:
    await put(cast, kind="redirect", location="http://169.254.169.254/keys")
    answer = await get(cast)
    assert (answer.status_code, answer.headers["location"]) == (307, "http://169.254.169.254/keys")


@pytest.mark.parametrize("kind", ["reset", "cut"])
async def test_a_connection_breaks(cast: Cast, kind: str) -> None:
    await put(cast, kind=kind, times=1)
    with pytest.raises(httpx.TransportError):
        await get(cast)
    assert (await get(cast)).status_code == 200


@pytest.mark.parametrize("kind", ["reset", "cut"])
async def test_a_connection_breaks_inside_tls_too(cast: Cast, kind: str) -> None:
    await put(cast, kind=kind, times=1)
    async with httpx.AsyncClient(trust_env=False, verify=_context(cast)) as client:
        with pytest.raises(httpx.TransportError):
            await client.get(cast.emulator.tls_url + KEYS)
        assert (await client.get(cast.emulator.tls_url + KEYS)).status_code == 200


def _context(cast: Cast) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(cast.certificates.authority))


@pytest.mark.parametrize("kind", [FaultKind.SLOW, FaultKind.DRIP])
async def test_an_answer_takes_its_time(cast: Cast, kind: FaultKind) -> None:
    cast.emulator.faults.put("keys", Fault(kind=kind, seconds=30))
    began = asyncio.get_running_loop().time()
    with pytest.raises(httpx.ReadTimeout):
        await get(cast, timeout=0.3)
    assert asyncio.get_running_loop().time() - began < 5
    cast.emulator.faults.put("keys", Fault(kind=kind, seconds=0))
    assert (await get(cast)).json()["keys"]


async def test_a_fault_of_graph_is_one_of_all_its_calls_and_a_narrow_one_comes_first(cast: Cast) -> None:
    await put(cast, "graph", kind="status", status=500)
    await put(cast, "graph.principal", kind="status", status=504)
    assert (await get(cast, "/v1.0/users/x")).status_code == 504
    assert (await get(cast, "/v1.0/users/x/transitiveMemberOf")).status_code == 500
    counted = (await cast.admin("GET", "counters")).json()
    assert counted == {"graph.principal": 1, "graph.transitiveMemberOf": 1}
    await cast.admin("DELETE", "counters", status=204)
    assert (await cast.admin("GET", "counters")).json() == {}


async def test_managed_identities_fail_as_well(cast: Cast) -> None:
    await put(cast, "managed-identity", kind="status", status=410)
    async with local_http() as client:
        place = f"{cast.emulator.identity_url}/metadata/identity/oauth2/token"
        answer = await client.get(place, params={"resource": AUDIENCE, "api-version": "2018-02-01"})
    assert answer.status_code == 410


async def test_a_fault_that_is_none_is_refused(cast: Cast) -> None:
    await cast.admin("PUT", "faults/nowhere", {"kind": "slow"}, status=404)
    await cast.admin("PUT", "faults/keys", {"kind": "explode"}, status=422)
    await cast.admin("PUT", "faults/keys", {"kind": "slow", "surprise": 1}, status=422)
    assert (await get(cast)).status_code == 200
