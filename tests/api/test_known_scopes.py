"""A misspelt policy or connection is an error, as nothing would be stopped; one that still has windows is revoked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.api.memory_store import a_window
from tests.api.people import NOW, PEOPLE, People

WHY = {"reason": "astray"}


@pytest.mark.parametrize("path", ["revoke", "locks"])
@pytest.mark.parametrize("scope", [{"policy": "readign"}, {"connection": "shpo"}])
async def test_a_name_that_pgjit_does_not_have_is_not_found(path: str, scope: dict[str, str], tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        response = await api.post(path, "admin", {**scope, **WHY})
        assert response.status_code == 404, response.text
        assert next(iter(scope.values())) in response.text


async def test_a_known_name_without_a_window_is_revoked_for_nothing(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        response = await api.post("revoke", "admin", {"policy": "reading", **WHY})
        assert (response.status_code, response.json()["items"]) == (200, [])


async def test_windows_of_a_policy_that_only_another_node_has_are_revoked(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        window = a_window("1", PEOPLE["requester"].key, NOW, "elsewhere")
        api.store.all_windows[window.id] = window
        response = await api.post("revoke", "admin", {"policy": "elsewhere", **WHY})
        assert [each["id"] for each in response.json()["items"]] == [window.id]
