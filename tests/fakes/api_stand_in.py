"""A stand-in for pgjit's HTTP API: it speaks its shapes, keeps requests, windows and locks, and records each call."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

__all__ = ["AGENT", "DIGEST", "ApiStandIn", "Seen", "problem"]

TENANT = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
AGENT = {
    "tid": TENANT,
    "oid": "0c4c1bd0-4ad0-4e5e-9a5e-3d6b9e5fc001",
    "kind": "agent",
    "display": "schema-check-agent",
}
REVIEWER = {"tid": TENANT, "oid": "0c4c1bd0-4ad0-4e5e-9a5e-3d6b9e5fc002", "display": "Ada Reviewer"}
DIGEST = "5e" * 32


@dataclass(frozen=True, slots=True)
class Seen:
    method: str
    path: str
    query: dict[str, str]
    body: dict[str, Any]
    key: str | None
    authorization: str | None


def _at(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


@dataclass(slots=True)
class ApiStandIn:
    """Called by httpx in the place of a server. `before` may answer or raise first."""

    seen: list[Seen] = field(default_factory=list)
    requests: dict[str, dict[str, Any]] = field(default_factory=dict)
    windows: dict[str, dict[str, Any]] = field(default_factory=dict)
    sessions: dict[str, dict[str, Any]] = field(default_factory=dict)
    locks: dict[str, dict[str, Any]] = field(default_factory=dict)
    access: dict[str, Any] = field(default_factory=lambda: {"policies": []})
    before: Callable[[httpx.Request], httpx.Response | None] = lambda request: None
    page: int = 50
    more: dict[str, Any] = field(default_factory=dict)  # members of a list beside `items` and `next`

    def add_request(self, **changes: Any) -> dict[str, Any]:
        name = f"r_{len(self.requests):032x}"
        self.requests[name] = {
            "id": name, "state": "pending", "identity": AGENT, "policy": "orders-migration", "policy_version": "3f2a",
            "connection": "prod-primary", "reason": "add the index of week 47", "ticket": "OPS-12",
            "ttl_seconds": 1200, "created_at": _at(-180), "lapses_at": _at(3420), "decided_at": None,
            "open_by": None, "window": None, "needs": 1,
            "review": {"groups": ["dba"], "group_names": ["database-reviewers"], "roles": []},
            "verdicts": [], "digest": DIGEST, **changes,
        }  # fmt: skip
        return self.requests[name]

    def add_window(self, **changes: Any) -> dict[str, Any]:
        name = f"w_{len(self.windows):032x}"
        self.windows[name] = {
            "id": name, "identity": AGENT, "policy": "orders-migration", "connection": "prod-primary",
            "state": "open",
            "opened_at": _at(-60), "ends_at": _at(1140), "retry_at": _at(3000), "ended_at": None, "end_reason": None,
            "revoked_by": None, "reason": "week 47", "request": None, "sessions": 2, "break_glass": False,
            "signed_off_by": None, **changes,
        }  # fmt: skip
        return self.windows[name]

    def add_session(self, **changes: Any) -> dict[str, Any]:
        name = f"s_{len(self.sessions):032x}"
        self.sessions[name] = {
            "id": name, "window": "w_0", "identity": AGENT, "policy": "orders-migration",
            "connection": "prod-primary",
            "node": "db-proxy-1", "backend_pid": 4711, "source": "10.0.0.7", "application_name": "psql",
            "opened_at": _at(-50), "ends_at": _at(1140), "executions": 12, "state": "idle in transaction", **changes,
        }  # fmt: skip
        return self.sessions[name]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v1/")
        body = json.loads(request.content) if request.content else {}
        self.seen.append(
            Seen(
                request.method, path, dict(request.url.params), body, request.headers.get("idempotency-key"),
                request.headers.get("authorization"),
            )
        )  # fmt: skip
        answer = self.before(request)
        if answer is not None:
            return answer
        return self._get(path, request) if request.method == "GET" else self._change(request.method, path, body)

    @property
    def changes(self) -> list[Seen]:
        return [each for each in self.seen if each.method != "GET"]

    def _get(self, path: str, request: httpx.Request) -> httpx.Response:
        if path == "access":
            return httpx.Response(200, json=self.access)
        kind, _, name = path.partition("/")
        store: dict[str, dict[str, Any]] = getattr(self, kind)
        if name:
            return httpx.Response(200, json=store[name]) if name in store else _unknown(kind, name)
        state = request.url.params.get("state")
        items = [each for each in store.values() if state in (None, each.get("state"))]
        start = int(request.url.params.get("cursor", "0"))
        end = start + self.page
        following = str(end) if end < len(items) else None
        return httpx.Response(200, json={"items": items[start:end], "next": following, **self.more})

    def _change(self, method: str, path: str, body: dict[str, Any]) -> httpx.Response:
        match [method, *path.split("/")]:
            case ["POST", "requests"]:
                return httpx.Response(202, json=self.add_request(**body))
            case ["POST", "requests", name, action]:
                return self._decide(name, action, body)
            case ["POST", "windows", name, action] if name in self.windows:
                change = {"state": "ending"} if action == "revoke" else {"signed_off_by": REVIEWER}
                self.windows[name].update(change)
                return httpx.Response(200, json=self.windows[name])
            case ["POST", "revoke"]:
                return httpx.Response(200, json={"items": list(self.windows.values())})
            case ["POST", "sessions", name, "kill"] if name in self.sessions:
                return httpx.Response(200, json={**self.sessions[name], "state": "ending"})
            case ["POST", "locks"]:
                name = f"l_{len(self.locks):032x}"
                kind = next(each for each in ("identity", "policy", "connection", "all") if each in body)
                self.locks[name] = {"id": name, "kind": kind, "target": body[kind], "until": body.get("until"),
                                    "reason": body["reason"], "set_by": REVIEWER, "set_at": _at(0)}  # fmt: skip
                return httpx.Response(201, json=self.locks[name])
            case ["DELETE", "locks", name] if name in self.locks:
                del self.locks[name]
                return httpx.Response(204)
        return _unknown(path.partition("/")[0], path)

    def _decide(self, name: str, action: str, body: dict[str, Any]) -> httpx.Response:
        request = self.requests.get(name)
        if request is None:
            return _unknown("requests", name)
        if action == "approve" and body.get("digest") != request["digest"]:
            return problem(409, "approval-void", "approval is not for what is requested now")
        request["state"] = {"approve": "approved", "refuse": "refused", "withdraw": "withdrawn"}[action]
        request["verdicts"].append(
            {"by": REVIEWER, "verdict": request["state"], "comment": body.get("comment"), "at": _at(0)}
        )
        return httpx.Response(200, json=request)


def problem(status: int, reference: str, title: str, **members: str) -> httpx.Response:
    content = {"type": f"urn:pgjit:error:{reference}", "title": title, "status": status, **members}
    return httpx.Response(status, json=content, headers={"content-type": "application/problem+json"})


def _unknown(kind: str, name: str) -> httpx.Response:
    one = kind.removesuffix("s")
    return problem(404, f"{one}-unknown", f"{one} `{name}` is not known", hint="Check the id.")
