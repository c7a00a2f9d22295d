"""Sessions of other nodes in the lists of sessions and windows, and what they lack while the store cannot be read."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from pgjit.errors import ServerUnavailable
from pgjit.grants.server_process import ServerInstance, ServerProcess
from pgjit.grants.session_elsewhere import SessionElsewhere
from pgjit.identity.identity import IdentityKey
from tests.api.memory_store import a_window
from tests.api.people import NOW, PEOPLE, People
from tests.api.test_access_matrix import furnished

GONE = ServerUnavailable("window store cannot be used", reference="store-unavailable", detail="no route")


def elsewhere(name: str, owner: IdentityKey, window: str, seconds: int) -> SessionElsewhere:
    process = ServerProcess(
        pid=4711, started=NOW + timedelta(seconds=seconds), role=10, instance=ServerInstance(system="7", started=NOW)
    )
    return SessionElsewhere(id=name, node="n2", window=a_window(window, owner, NOW), process=process)


async def ids(api: People, caller: str, query: str = "") -> list[str]:
    return [each["id"] for each in (await api.get(f"sessions{query}", caller)).json()["items"]]


async def test_sessions_of_all_nodes_are_one_list_without_inventions(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        await furnished(api)
        api.store.elsewhere = [
            elsewhere("s_2", PEOPLE["requester"].key, "1", +5),
            elsewhere("s_0", PEOPLE["other"].key, "2", -5),
            elsewhere("s_1", PEOPLE["requester"].key, "1", +9),  # taken over, though this node still has it
        ]
        answer = (await api.get("sessions", "admin")).json()
        nodes = {each["id"]: each["node"] for each in answer["items"]}
        assert list(nodes.items()) == [("s_2", "n2"), ("s_1", "n1"), ("s_0", "n2")]
        assert (answer["complete"], answer["next"]) == (True, None)
        key = PEOPLE["requester"].key
        assert answer["items"][0] == {
            "id": "s_2", "window": "w_1", "policy": "reading", "connection": "shop", "node": "n2",
            "identity": {"tid": key.tid, "oid": key.oid, "kind": None, "display": None},
            "backend_pid": 4711, "source": None, "application_name": None, "executions": None, "state": "unknown",
            "opened_at": "2026-11-24T09:00:05Z", "ends_at": "2026-11-24T10:00:00Z",
            "rows": None, "bytes": None, "running": None, "budget": None,
        }  # fmt: skip
        assert (await ids(api, "requester"), await ids(api, "other")) == (["s_2", "s_1"], ["s_0"])
        api.store.elsewhere[0] = replace(api.store.elsewhere[0], process=None)
        [unread] = [each for each in (await api.get("sessions", "admin")).json()["items"] if each["id"] == "s_2"]
        assert (unread["backend_pid"], unread["opened_at"]) == (None, None)


async def test_pages_go_over_the_sessions_of_all_nodes(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        await furnished(api)
        api.store.elsewhere = [elsewhere(f"s_{n}", PEOPLE["other"].key, "2", n - 4) for n in range(2, 7)]
        seen, cursor = [], ""
        for _ in range(3):
            page = (await api.get(f"sessions?limit=2{cursor}", "auditor")).json()
            seen += [each["id"] for each in page["items"]]
            cursor = f"&cursor={page['next']}"
        assert seen == ["s_6", "s_5", "s_4", "s_1", "s_3", "s_2"]
        assert page["next"] is None


async def test_the_sessions_of_a_window_are_counted_over_all_nodes(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        await furnished(api)
        api.store.elsewhere = [elsewhere("s_2", PEOPLE["requester"].key, "1", 0)]
        assert (await api.get("windows/w_1", "requester")).json()["sessions"] == 2
        counts = {each["id"]: each["sessions"] for each in (await api.get("windows", "admin")).json()["items"]}
        assert counts == {"w_1": 2, "w_glass": 0}


async def test_a_lost_store_leaves_the_sessions_of_this_node_and_a_sign(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        await furnished(api)
        api.store.elsewhere = GONE
        for caller in ("admin", "requester"):
            answer = (await api.get("sessions", caller)).json()
            assert ([each["id"] for each in answer["items"]], answer["complete"]) == (["s_1"], False)
        assert (await api.get("windows/w_1", "admin")).json()["sessions"] is None
        revoked = await api.post("revoke", "admin", {"all": True, "reason": "x"})
        assert (revoked.status_code, revoked.json()["items"][0]["sessions"]) == (200, None)
        api.store.shared = False
        assert (await api.get("sessions", "admin")).json()["complete"] is True, "the store has one node"
