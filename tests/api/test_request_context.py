"""What a reviewer sees beside a request: the policy, the identity's last windows, whether an approval would count."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pgjit.errors import ServerUnavailable
from pgjit.grants.holder import Holder
from pgjit.grants.usage import Usage
from pgjit.identity.identity import IdentityKind
from pgjit.policy.policy import Limits
from pgjit.proxy.registry import SessionView
from tests.api.memory_store import a_window
from tests.api.people import NOW, PEOPLE, KnownGroups, People
from tests.api.test_access import CATALOG
from tests.api.test_access_matrix import Registered, furnished

USER = Holder(kind=IdentityKind.USER)


async def context(api: People, request: str, caller: str = "reviewer", query: str = "") -> dict[str, Any]:
    response = await api.get(f"requests/{request}/context{query}", caller)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def with_windows(api: People, count: int) -> str:
    """A request, and windows of the same identity under the policy that the reviewer reviews."""
    request = await furnished(api)
    api.store.all_windows = {
        f"w_{n}": a_window(str(n), PEOPLE["requester"].key, NOW, "reviewed", holder=USER) for n in range(count)
    }
    return request


async def test_the_policy_is_shown_with_real_relations(tmp_path: Path) -> None:
    async with People(tmp_path, directory=KnownGroups()) as api:
        request = await furnished(api)
        api.use(catalogs=lambda _connection: CATALOG)
        found = await context(api, request)
        assert found["request"]["id"] == request
        assert found["policy"]["name"] == "reviewed"
        assert found["policy"]["relations_known"] == [
            {"name": "public.orders", "actions": ["select"], "columns_denied": []}
        ]
        assert found["policy_changed"] is False


@pytest.mark.parametrize(
    ("caller", "may", "reference"),
    [
        ("reviewer", True, None),
        ("requester", False, "own-request"),
        ("auditor", False, "not-a-reviewer"),
        ("admin", False, "not-a-reviewer"),
    ],
)
async def test_it_says_whether_an_approval_would_count(
    caller: str, may: bool, reference: str | None, tmp_path: Path
) -> None:
    async with People(tmp_path, directory=KnownGroups()) as api:
        request = await furnished(api)
        deciding = (await context(api, request, caller))["deciding"]
        assert (deciding["may"], deciding["reference"], deciding["verdict"]) == (may, reference, None)
        assert api.store.all_requests[request].verdicts == (), "a look decides nothing"


async def test_what_was_decided_lapsed_or_changed_cannot_be_decided(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        request = await furnished(api)
        api.now += timedelta(days=2)
        api.provider.people["late"] = replace(
            PEOPLE["reviewer"], issued_at=api.now, expires_at=api.now + timedelta(hours=1)
        )
        assert (await context(api, request, "late"))["deciding"]["reference"] == "request-lapsed"
        api.now = NOW
        assert (await api.post(f"requests/{request}/approve", "reviewer", {})).status_code == 200
        decided = (await context(api, request))["deciding"]
        assert (decided["may"], decided["verdict"]) == (False, "approved")
        assert (await context(api, request, "reviewer2"))["deciding"]["may"] is False


async def test_a_request_under_another_version_of_the_policy_is_marked(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        request = await furnished(api)
        asked = api.store.all_requests[request]
        api.store.all_requests[request] = replace(asked, ask=replace(asked.ask, policy_version="older"))
        found = await context(api, request)
        assert (found["policy_changed"], found["deciding"]["reference"]) == (True, "approval-void")
        gone = replace(asked, ask=replace(asked.ask, policy="gone"))
        api.store.all_requests[request] = gone
        found = await context(api, request)
        assert (found["policy"], found["policy_changed"], found["deciding"]["may"]) == (None, True, False)


async def test_the_last_windows_are_those_of_the_same_holder_that_the_caller_may_see(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        request = await with_windows(api, 7)
        api.store.all_windows["w_0"] = replace(api.store.all_windows["w_0"], policy="others")
        agent = Holder(kind=IdentityKind.USER, app_id="an-agent", on_behalf_of="oid-requester")
        api.store.all_windows["w_1"] = replace(api.store.all_windows["w_1"], holder=agent)
        found = await context(api, request)
        assert [each["id"] for each in found["windows"]] == ["w_2", "w_3", "w_4", "w_5", "w_6"]
        assert found["windows_more"] is False
        all_of_them = await context(api, request, "auditor", "?windows=3")
        assert [each["id"] for each in all_of_them["windows"]] == ["w_0", "w_2", "w_3"]
        assert all_of_them["windows_more"] is True


async def test_a_window_has_its_budget_from_a_live_session_or_the_store(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        request = await with_windows(api, 2)
        api.store.usages = {"w_0": Usage(rows=5, bytes=6, statements=7), "w_1": Usage(rows=1)}
        view = SessionView(
            id="s_9", window="w_1", identity=PEOPLE["requester"], policy="reviewed", connection="shop", backend_pid=8,
            source="10.0.0.7:5", application_name=None, opened_at=NOW, ends_at=NOW, executions=3, state="idle",
            used=Usage(rows=40, bytes=50, statements=3), limits=Limits(window_rows=100),
        )  # fmt: skip
        api.registry.add("s_9", Registered(view))  # type: ignore[arg-type]
        first, second = (await context(api, request))["windows"]
        assert first["budget"]["statements"] == {"used": 7, "most": None}
        assert second["budget"]["rows"] == {"used": 40, "most": None}, "the limits are those of the policy in force"
        [session] = [each for each in (await api.get("sessions", "admin")).json()["items"] if each["id"] == "s_9"]
        assert session["budget"]["rows"] == {"used": 40, "most": 100}
        api.store.elsewhere = ServerUnavailable("away", reference="store-unavailable", detail="no route")
        first, second = (await context(api, request))["windows"]
        assert (first["budget"], second["budget"]["rows"]["used"]) == (None, 40), "what is not known is not guessed"


async def test_the_activity_is_that_of_the_windows_that_the_caller_may_see(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        request = await with_windows(api, 3)
        api.store.all_windows["w_0"] = replace(api.store.all_windows["w_0"], policy="others")
        found = (await api.get(f"requests/{request}/activity?windows=1", "reviewer")).json()
        assert api.audit.questions == [{"ask": "activity", "names": ["w_1"]}]
        assert found["windows"][0]["reads"] == {"public.orders": 2}
        api.use(audit=None)
        refused = await api.get(f"requests/{request}/activity", "reviewer")
        assert (refused.status_code, refused.json()["reference"]) == (503, "audit-unavailable")


async def test_an_identity_without_windows_needs_no_journal(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        request = await with_windows(api, 0)
        api.use(audit=None)
        found = await api.get(f"requests/{request}/activity", "reviewer")
        assert found.json() == {"windows": [], "complete": True}
        assert (await api.get(f"requests/{request}/activity?windows=0", "reviewer")).status_code == 422
