"""Who may call what: every endpoint, by callers of every role, and whether the call is recorded before it happens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pgjit.grants.actor import Actor
from pgjit.grants.lock import Lock
from pgjit.grants.scope import Scope, ScopeKind
from pgjit.identity.identity import IdentityKey, IdentityKind
from pgjit.policy.load import Policies
from pgjit.proxy.registry import SessionView
from tests.api.memory_store import a_window
from tests.api.people import NOW, PEOPLE, TENANT, KnownGroups, People
from tests.run.journal_text import journal_text

CALLERS = ("nobody", "requester", "other", "reviewer", "auditor", "admin", "agent")
# Status by caller, in the order of CALLERS; `!` after a status means that the call is in the journal.
MATRIX = """
GET    version                     200   200   200   200   200   200   200
GET    whoami                      200   200   200   200   200   200   200
GET    openapi.json                200   200   200   200   200   200   200
GET    policies                    403   200   200   200   200   200   200
GET    policies/reading            403   200   404   200   200   200   200
GET    policy-files                403   403   403   200   200   200   403
GET    policies/reading/file       403   403   403   200!  200!  200!  403
POST   policies/reading/explain    403   403   403   200!  200!  200!  403
GET    policies/reading/tests      403   403   403   200!  200!  200!  403
GET    reload                      403   403   403   200   200   200   403
GET    health                      403   403   403   200   200   200   403
GET    access?group=g-members      403   200   403   403   200!  200!  200
GET    access?identity=T/oid-admin 403   403   403   403   200!  200!  403
POST   requests                    403   202!  404   403   403   403   202!
GET    requests                    200   200   200   200!  200!  200!  200
GET    requests?mine=true          200   200   200   200   200   200   200
GET    requests/R                  404   200   404   200!  200!  200!  404
GET    requests/R/context          404   200   404   200!  200!  200!  404
GET    requests/R/activity         404   200   404   200!  200!  200!  404
POST   requests/R/approve          403   403   403   200!  403   403   403
POST   requests/R/refuse           403   403   403   200!  403   403   403
POST   requests/R/withdraw         404!  200!  404!  404!  404!  404!  404!
GET    windows                     200   200   200   200!  200!  200!  200
GET    windows/w_1                 404   200   404   404   200!  200!  404
POST   windows/w_1/revoke          404   200!  404   404   403   200!  404
POST   windows/w_glass/sign-off    403   403   403   200!  403   403   403
POST   revoke                      403   403   403   403   403   200!  403
GET    sessions                    403   200   200   403   200!  200!  200
POST   sessions/s_1/kill           403   403   403   403   403   200!  403
GET    audit/executions            403   403   403   403   200!  200!  403
GET    audit/executions/s_1/1      403   403   403   403   200!  200!  403
GET    audit/windows/w_1           403   403   403   403   200!  200!  403
GET    audit/sessions/s_1          403   403   403   403   200!  200!  403
GET    audit/report?part=rows      403   403   403   403   200!  200!  403
POST   audit/sql                   403   403   403   403   200!  200!  403
POST   audit/sql.csv               403   403   403   403   200!  200!  403
GET    audit/executions.csv        403   403   403   403   200!  200!  403
GET    audit/journals              403   403   403   403   200!  200!  403
GET    audit/verification          403   403   403   403   200   200   403
POST   audit/verification          403   403   403   403   202!  202!  403
GET    audit/proof?record=s_1/1    403   403   403   403   200!  200!  403
GET    audit/searches              403   403   403   403   200   200   403
POST   audit/searches              403   403   403   403   201!  201!  403
DELETE audit/searches/q_0          403   403   403   403   404!  404!  403
GET    locks                       403   403   403   403   200!  200!  403
POST   locks                       403   403   403   403   403   201!  403
DELETE locks/l_0?reason=over       403   403   403   403   403   200!  403
"""
BODIES: dict[str, dict[str, Any]] = {
    "requests": {"policy": "reviewed", "reason": "schema diff"},
    "requests/R/approve": {},
    "policies/reading/explain": {"sql": "SELECT 1"},
    "requests/R/refuse": {"reason": "not now"},
    "requests/R/withdraw": {},
    "windows/w_1/revoke": {"reason": "astray"},
    "windows/w_glass/sign-off": {"comment": "looked at it"},
    "audit/sql": {"query": "SELECT 1"},
    "audit/sql.csv": {"query": "SELECT 1"},
    "audit/searches": {"name": "denied", "filter": {"decision": "deny"}},
    "revoke": {"policy": "reading", "reason": "astray"},
    "sessions/s_1/kill": {"reason": "astray"},
    "locks": {"all": True, "reason": "astray"},
}
CELLS = [
    pytest.param(method, path, caller, int(cell[:3]), cell.endswith("!"), id=f"{caller} {method} {path}")
    for method, path, *cells in (line.split() for line in MATRIX.strip().splitlines())
    for caller, cell in zip(CALLERS, cells, strict=True)
]


@dataclass
class Registered:
    view: SessionView
    backend_pid = None

    @property
    def window_id(self) -> str:
        return self.view.window

    @property
    def identity_key(self) -> IdentityKey:
        return self.view.identity.key


async def furnished(api: People) -> str:
    """A request, windows, a session and a lock of the requester; the id of the request."""
    owner = PEOPLE["requester"]
    for window in (a_window("1", owner.key, NOW), a_window("glass", owner.key, NOW, "reviewed", break_glass=True)):
        api.store.all_windows[window.id] = window
    over = replace(api.store.all_windows["w_glass"], ended_at=NOW, end_reason="ttl")
    api.store.all_windows["w_glass"] = over
    by = Actor(key=PEOPLE["admin"].key, display="admin", via="api")
    lock = Lock(id="l_0", scope=Scope(ScopeKind.POLICY, "others"), reason="x", set_by=by, set_at=NOW)
    api.store.all_locks[lock.id] = lock
    view = SessionView(
        id="s_1", window="w_1", identity=owner, policy="reading", connection="shop", backend_pid=7,
        source="10.0.0.7:5", application_name=None, opened_at=NOW, ends_at=NOW, executions=0, state="idle",
    )  # fmt: skip
    api.registry.add("s_1", Registered(view))  # type: ignore[arg-type]
    made = await api.services.requests.make(owner, api.services.policies["reviewed"], "shop", reason="schema diff")
    return made.id


@pytest.mark.parametrize(("method", "path", "caller", "status", "recorded"), CELLS)
async def test_who_may_call_what(
    method: str, path: str, caller: str, status: int, recorded: bool, tmp_path: Path
) -> None:
    async with People(tmp_path, directory=KnownGroups()) as api:
        request = await furnished(api)
        url = path.replace("/R", f"/{request}").replace("=T/", f"={TENANT}/")
        response = await api.call(method, url, caller, json=BODIES.get(path))
        assert (response.status_code, bool(api.calls())) == (status, recorded), response.text
        needs_role = status == 403 and response.json()["reference"] in ("role-required", "agents-never-review")
        assert [each[0] for each in api.refusals()] == ([caller] if needs_role else [])
        if recorded:
            [(who, _role, how, where)] = api.calls()
            assert (who, how, where) == (caller, method, "/" + url.partition("?")[0])


@pytest.mark.parametrize(
    ("method", "path", "caller"),
    [each.values[:3] for each in CELLS if each.values[4]],
)
async def test_what_cannot_be_recorded_does_not_happen(method: str, path: str, caller: str, tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        request = await furnished(api)
        before = (dict(api.store.all_requests), dict(api.store.all_windows), dict(api.store.all_locks))
        api.break_journal()
        response = await api.call(method, str(path).replace("/R", f"/{request}"), caller, json=BODIES.get(str(path)))
        assert (response.status_code, response.json()["reference"]) == (503, "journal-unavailable")
        assert before == (api.store.all_requests, api.store.all_windows, api.store.all_locks)
        assert api.ending.killed == []
        assert (api.audit.questions, api.proofs.asked) == ([], [])


async def test_who_has_no_accepted_token_cannot_fill_the_journal(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        await furnished(api)
        before = journal_text(api.path)
        for _ in range(20):
            assert (await api.post("revoke", "nobody-known", {"all": True, "reason": "x"})).status_code == 401
        assert journal_text(api.path) == before
        assert (await api.post("revoke", "requester", {"all": True, "reason": "x"})).status_code == 403
        assert api.refusals() == [("requester", "requester", 403, "/revoke")]


async def test_a_reviewer_who_left_the_group_a_second_ago_decides_nothing(tmp_path: Path) -> None:
    directory = KnownGroups()
    async with People(tmp_path, directory=directory) as api:
        request = await furnished(api)
        assert (await api.get(f"requests/{request}", "reviewer")).status_code == 200
        directory.groups["oid-reviewer"] = frozenset()
        refused = await api.post(f"requests/{request}/approve", "reviewer", {})
        assert refused.status_code == 403
        assert api.store.all_requests[request].verdicts == ()


async def test_an_admin_who_left_the_group_a_second_ago_revokes_nothing(tmp_path: Path) -> None:
    directory = KnownGroups()
    async with People(tmp_path, directory=directory) as api:
        await furnished(api)
        assert (await api.get("windows", "admin")).status_code == 200
        directory.groups["oid-admin"] = frozenset()
        assert (await api.post("revoke", "admin", {"all": True, "reason": "x"})).status_code == 403
        assert api.store.all_windows["w_1"].revoked_at is None


async def test_lists_show_only_what_the_caller_may_see(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        await furnished(api)
        api.store.all_windows["w_2"] = replace(a_window("2", PEOPLE["other"].key, NOW), policy="others")
        seen = {
            caller: sorted(each["id"] for each in (await api.get("windows", caller)).json()["items"])
            for caller in ("nobody", "requester", "other", "reviewer", "auditor", "admin")
        }
    everything = ["w_1", "w_2", "w_glass"]
    assert seen == {
        "nobody": [], "requester": ["w_1", "w_glass"], "other": ["w_2"], "reviewer": ["w_glass"],
        "auditor": everything, "admin": everything,
    }  # fmt: skip


async def test_no_request_is_made_under_a_policy_whose_requirements_the_token_does_not_meet(
    tmp_path: Path,
) -> None:
    async with People(tmp_path) as api:
        reviewed = api.policies["reviewed"]
        terms = replace(reviewed.identity, principals=frozenset({IdentityKind.USER}))
        others = [each for each in api.policies.values() if each.name != "reviewed"]
        api.use(policies=Policies((*others, replace(reviewed, identity=terms))))
        body = {"policy": "reviewed", "reason": "schema diff"}
        refused = await api.post("requests", "agent", body)
        assert (refused.status_code, refused.json()["reference"]) == (403, "requirement-not-met")
        assert api.store.all_requests == {}
        assert api.refusals() == [("agent", "requester", 403, "/requests")]
        assert (await api.post("requests", "requester", body)).status_code == 202
