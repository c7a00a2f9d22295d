"""The admin API: JSON over HTTP, with which a test or an operator changes the running emulator.

Decides which changes are possible and who may make them: anyone on this machine if the emulator listens on a local
address only, else the holder of the key.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Body, Depends, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from pgjit.demo.emulator.cloud import Cloud
from pgjit.demo.emulator.directory import RegisteredPrincipal, TenantDirectory
from pgjit.demo.emulator.faults import Fault, FaultKind, Faults
from pgjit.demo.emulator.settings import ApiSection, Guid, PrincipalSection, Text

__all__ = ["admin_api"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Change(_Section):
    enabled: bool | None = None
    roles: tuple[Text, ...] | None = None
    graph_roles: tuple[Text, ...] | None = None
    acrs: tuple[Text, ...] | None = None


class _Rotation(_Section):
    keep_old: bool = False


class _Fault(_Section):
    kind: FaultKind
    seconds: Annotated[float, Field(ge=0, le=600)] = 1.0
    status: Annotated[int, Field(ge=400, le=599)] = 500
    retry_after: Text | None = None
    body: Annotated[str, Field(max_length=8 * 1024 * 1024)] = "<html>not what you asked for</html>"
    content_type: Text = "application/json"
    location: Text = "http://127.0.0.1:9/"
    times: Annotated[int, Field(ge=1)] | None = None


class _Decision(_Section):
    user: Text | None = None  # None: no


class _Approver(_Section):
    user: Text | None = None
    interval: Annotated[int, Field(ge=0, le=60)] = 5


class _Tenant(_Section):
    tenant: Guid


class _Claims(_Section):
    claims: dict[str, object]
    header: dict[str, object] = {}


class _Workload(_Section):
    subject: Text
    audience: Text = "api://AzureADTokenExchange"


def admin_api(
    cloud: Cloud, faults: Faults, *, key: str | None, open_to_all: Callable[[], bool], sign_anything: bool
) -> APIRouter:
    """`open_to_all`: requests without the key are accepted, because only this machine can send them."""

    def allowed(request: Request) -> None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if key is not None:
            if not secrets.compare_digest(given.encode(), key.encode()):
                raise HTTPException(401, "the header `Authorization: Bearer` must hold the admin key")
        elif not open_to_all():
            raise HTTPException(403, "set `admin_key`: the emulator can be reached from other machines")
        if request.method != "GET" and request.headers.get("content-type", "").split(";")[0] != "application/json":
            # A web page can make a browser send a form to this port, but not JSON.
            raise HTTPException(415, "the body must be application/json")

    router = APIRouter(prefix="/admin", dependencies=[Depends(allowed)])
    _principals(router, cloud)
    _groups(router, cloud)
    _faults(router, faults)
    _tokens(router, cloud, sign_anything=sign_anything)
    return router


def _directory(cloud: Cloud, tenant: str | None) -> TenantDirectory:
    found = cloud.tenants.get(tenant or cloud.home)
    if found is None:
        raise HTTPException(404, "there is no such tenant")
    return found


def _find(cloud: Cloud, oid: str) -> tuple[TenantDirectory, RegisteredPrincipal]:
    for directory in cloud.tenants.values():
        if oid in directory.principals:
            return directory, directory.principals[oid]
    raise HTTPException(404, "there is no such principal")


def _principals(router: APIRouter, cloud: Cloud) -> None:
    @router.get("/state")
    async def state() -> dict[str, object]:
        tenants = {name: directory.state() for name, directory in cloud.tenants.items()}
        return {"tenants": tenants, "audience": cloud.api.client_id, "device_codes": cloud.codes.waiting}

    @router.post("/tenants", status_code=201)
    async def add_tenant(given: _Tenant) -> dict[str, object]:
        cloud.add_tenant(given.tenant)
        return {"tenant": given.tenant}

    @router.put("/api")
    async def change_api(given: ApiSection) -> dict[str, object]:
        cloud.api = given.api(cloud.api.client_id)
        return {"audience": cloud.api.client_id}

    @router.post("/principals", status_code=201)
    async def add(given: PrincipalSection) -> dict[str, object]:
        if not given.kind.person and not (given.public or given.certificate or given.federated or given.parent):
            given = given.model_copy(update={"secret": given.secret or secrets.token_urlsafe(24)})
        try:
            principal = given.principal()
        except ValueError:
            raise HTTPException(422, "`certificate` must be PEM") from None
        _directory(cloud, given.tenant).add(principal, given.groups)
        fields = {
            "oid": principal.oid,
            "client_id": principal.client_id,
            "upn": principal.upn,
            "secret": given.secret,
        }
        return {name: value for name, value in fields.items() if value is not None}

    @router.patch("/principals/{oid}")
    async def change(oid: str, given: _Change) -> dict[str, object]:
        _, principal = _find(cloud, oid)
        for name, value in given.model_dump(exclude_none=True).items():
            setattr(principal, "contexts" if name == "acrs" else name, value)
        return {"oid": oid, "enabled": principal.enabled}

    @router.delete("/principals/{oid}", status_code=204)
    async def delete(oid: str) -> None:
        directory, _ = _find(cloud, oid)
        directory.delete(oid)


def _groups(router: APIRouter, cloud: Cloud) -> None:
    @router.put("/groups/{group}/members/{oid}", status_code=204)
    async def join(group: Guid, oid: Guid, tenant: Guid | None = None) -> None:
        directory = _directory(cloud, tenant)
        if oid not in directory.principals and oid not in directory.members:
            raise HTTPException(404, "there is no such principal or group")
        directory.join(group, oid)

    @router.delete("/groups/{group}/members/{oid}", status_code=204)
    async def leave(group: Guid, oid: Guid, tenant: Guid | None = None) -> None:
        if not _directory(cloud, tenant).leave(group, oid):
            raise HTTPException(404, "it is no member")


def _faults(router: APIRouter, faults: Faults) -> None:
    @router.get("/faults")
    async def every() -> dict[str, object]:
        return {name: asdict(fault) for name, fault in faults.state().items()}

    @router.put("/faults/{endpoint}", status_code=204)
    async def put(endpoint: str, given: _Fault) -> None:
        try:
            faults.put(endpoint, Fault(**given.model_dump()))
        except ValueError as fault:
            raise HTTPException(404, str(fault)) from None

    @router.delete("/faults", status_code=204)
    async def clear_all() -> None:
        faults.clear()

    @router.delete("/faults/{endpoint}", status_code=204)
    async def clear(endpoint: str) -> None:
        faults.clear(endpoint)

    @router.get("/counters")
    async def counters() -> dict[str, int]:
        return dict(faults.counts)

    @router.delete("/counters", status_code=204)
    async def reset_counters() -> None:
        faults.counts.clear()


def _tokens(router: APIRouter, cloud: Cloud, *, sign_anything: bool) -> None:
    @router.post("/keys/rotate")
    async def rotate(given: Annotated[_Rotation, Body()]) -> dict[str, object]:
        return {"kid": cloud.issuer.rotate(keep_old=given.keep_old).kid}

    @router.put("/device-codes")
    async def approver(given: _Approver) -> dict[str, object]:
        cloud.codes.approver, cloud.codes.interval = given.user, given.interval
        return {"user": given.user}

    @router.post("/device-codes/{user_code}", status_code=204)
    async def decide(user_code: str, given: _Decision) -> None:
        if not cloud.codes.decide(user_code, given.user):
            raise HTTPException(404, "there is no such code")

    @router.delete("/managed-identity-tokens", status_code=204)
    async def forget() -> None:
        cloud.kept_tokens.clear()

    @router.post("/workload-tokens")
    async def workload(given: _Workload) -> dict[str, object]:
        at = int(cloud.now().timestamp())
        claims = {"iss": cloud.workload_issuer, "sub": given.subject, "aud": given.audience, "iat": at, "nbf": at}
        return {"token": cloud.workload.sign({**claims, "exp": at + 3600})}

    @router.post("/sign")
    async def sign(given: _Claims) -> JSONResponse:
        if not sign_anything:
            raise HTTPException(403, "the emulator signs any claims only with `sign_anything: true`")
        return JSONResponse({"token": cloud.issuer.sign(given.claims, given.header)})
