"""A fake Microsoft Graph with its token endpoint: answers as a test sets it, and counts requests. No network."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import parse_qs

import httpx

__all__ = ["AUTHORITY", "CLIENT", "GRAPH", "SECRET", "FakeGraph", "Person"]

AUTHORITY = "https://login.example"
GRAPH = "https://graph.example"
CLIENT = "4d0e9a52-1c7b-4f3a-9e86-7b5d2c1a0f93"
SECRET = "the-secret-of-the-proxy~only.here"


@dataclass
class Person:
    """A principal; `kind` is the collection that it is in. So many answers say, first, that it is in no group."""

    kind: str = "servicePrincipals"
    enabled: object = True
    groups: set[str] = field(default_factory=set)
    owners: list[dict[str, object]] = field(default_factory=list)
    app_owners: list[dict[str, object]] | None = None  # of the app registration; None: it is in another tenant
    sponsors: list[dict[str, object]] | None = None  # of an agent
    client_id: str = "5b1e7c20-3a4d-4f6b-8c9d-0e1f2a3b4c5d"
    noes: int = 0


class FakeGraph(httpx.AsyncBaseTransport):
    def __init__(self) -> None:
        self.url = GRAPH
        self.people: dict[str, Person] = {}
        self.clients: dict[str, Person] = {}  # apps by their client id
        self.requested: list[str] = []  # method and path
        self.batches: list[list[str]] = []
        self.tokens_given = 0
        self.forms: list[dict[str, str]] = []
        self.accepted: set[str] = set()  # tokens
        self.fault: httpx.Response | Exception | None = None  # in place of Graph's answers
        self.token_fault: httpx.Response | None = None
        self.hold: asyncio.Event | None = None

    def add(self, oid: str, *groups: str, kind: str = "servicePrincipals") -> Person:
        self.people[oid] = Person(kind, groups=set(groups))
        return self.people[oid]

    def add_client(self, client_id: str) -> Person:
        self.clients[client_id] = Person()
        return self.clients[client_id]

    @property
    def checks(self) -> Counter[str]:
        """How often each principal's groups were requested."""
        return Counter(path.split("/")[-2] for path in self.requested if path.endswith("checkMemberGroups"))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = b"".join([chunk async for chunk in request.stream])  # type: ignore[union-attr]
        if request.url.path.endswith("/oauth2/v2.0/token"):
            response = self._token(request, body)
        else:
            self.requested.append(f"{request.method} {request.url.path}")
            if self.hold is not None:
                await self.hold.wait()
            if isinstance(self.fault, Exception):
                raise self.fault
            response = self.fault or self._graph(request, body)
        # Made of whole bytes: to be read from a stream, as what comes by network is.
        return httpx.Response(
            response.status_code, headers=response.headers, stream=httpx.ByteStream(response.content)
        )

    def _token(self, request: httpx.Request, body: bytes) -> httpx.Response:
        if self.token_fault is not None:
            return self.token_fault
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        self.forms.append({**form, "endpoint": str(request.url)})
        if form.get("client_id") != CLIENT or form.get("scope") != f"{self.url}/.default":
            return httpx.Response(400, json={"error": "invalid_request"})
        if form.get("client_secret", SECRET) != SECRET:
            return httpx.Response(401, json={"error": "invalid_client", "error_description": f"bad {SECRET}"})
        self.tokens_given += 1
        token = f"graph-token-{self.tokens_given}"
        self.accepted = {token}
        return httpx.Response(200, json={"token_type": "Bearer", "expires_in": 3599, "access_token": token})

    def _graph(self, request: httpx.Request, body: bytes) -> httpx.Response:
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.accepted:
            return httpx.Response(401, json={"error": {"code": "InvalidAuthenticationToken"}})
        if owned := self._owned(request):
            return owned
        if by_client := re.fullmatch(r"/v1\.0/servicePrincipals\(appId='(.*)'\)", request.url.path):
            return self._of_client(request, by_client[1])
        _, version, kind, oid, *call = request.url.path.split("/")
        person = self.people.get(oid)
        if version != "v1.0" or person is None or person.kind != kind:
            return httpx.Response(404, json={"error": {"code": "Request_ResourceNotFound", "message": oid}})
        if "/applications" in request.url.path or call[-1:] in (["owners"], ["sponsors"]):
            return httpx.Response(404, json={"error": {"code": "Request_ResourceNotFound", "message": oid}})
        if call == []:
            assert request.url.params["$select"] == "id,accountEnabled"
            return httpx.Response(200, json={"id": oid, "accountEnabled": person.enabled})
        assert call == ["checkMemberGroups"]
        groups: list[str] = json.loads(body)["groupIds"]
        if len(groups) > 20:
            return httpx.Response(400, json={"error": {"code": "Request_BadRequest"}})
        self.batches.append(groups)
        if person.noes:
            person.noes -= 1
            return httpx.Response(200, json={"value": []})
        return httpx.Response(200, json={"value": _members(person, groups)})

    def _of_client(self, request: httpx.Request, client_id: str) -> httpx.Response:
        app = self.clients.get(client_id)
        if app is None:
            return httpx.Response(404, json={"error": {"code": "Request_ResourceNotFound", "message": client_id}})
        assert request.url.params["$select"] == "appId,accountEnabled"
        return httpx.Response(200, json={"appId": client_id.upper(), "accountEnabled": app.enabled})

    def _owned(self, request: httpx.Request) -> httpx.Response | None:
        """The queries about owners and sponsors; None for others."""
        path, select = request.url.path, request.url.params.get("$select", "")
        by_client = {each.client_id: oid for oid, each in self.people.items() if each.kind == "servicePrincipals"}
        for client_id, oid in by_client.items():
            path = path.replace(f"servicePrincipals(appId='{client_id}')", f"servicePrincipals/{oid}")
        _, _, kind, oid, *call = (*path.split("/"), "")
        if select == "id,appId,servicePrincipalType" and (person := self._app(kind, oid)):
            named = "agentIdentity" if person.sponsors is not None else "servicePrincipal"
            body = {"@odata.type": f"#microsoft.graph.{named}", "id": oid, "appId": person.client_id}
            return httpx.Response(200, json=body)
        found = None
        registered = by_client.get(kind[20:-2], "") if kind.startswith("applications") else ""
        if person := self._app("servicePrincipals", registered):
            found = person.app_owners
        elif person := self._app(kind, oid):
            found = {"owners": person.owners, "sponsors": person.sponsors}.get(call[-2] if len(call) > 1 else "")
        return None if found is None else httpx.Response(200, json={"value": found})

    def _app(self, kind: str, oid: str) -> Person | None:
        person = self.people.get(oid)
        return person if person is not None and person.kind == kind == "servicePrincipals" else None


def _members(person: Person, groups: Iterable[str]) -> list[str]:
    return [group.upper() for group in groups if group in person.groups]
