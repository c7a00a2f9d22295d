"""Whether a reviewer owns or sponsors the app or agent that a request comes from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pgjit.errors import ServerUnavailable
from pgjit.grants.ties import Ties
from pgjit.identity.directory import DirectoryAnswer, DirectoryUnavailable, Owners, Principal, PrincipalState
from pgjit.identity.identity import GroupId, IdentityKey, IdentityKind
from tests.grants.review_cast import request

TENANT = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
AGENT, OTHER, ANN, BOB = (IdentityKey(TENANT, oid) for oid in ("agent", "other", "ann", "bob"))
SPONSORS = GroupId("sponsors")


class Owned:
    """A directory that knows owners."""

    def __init__(self) -> None:
        self.known = {AGENT: Owners(principals=frozenset({ANN})), OTHER: Owners(groups=frozenset({SPONSORS}))}
        self.members = {BOB.oid}
        self.queried: list[str] = []
        self.broken = False

    async def owners(self, key: IdentityKey, now: datetime) -> Owners:
        self.queried.append(key.oid)
        if self.broken:
            raise DirectoryUnavailable("Graph answered 503")
        return self.known.get(key, Owners())

    async def look_up(self, principal: Principal, groups: Iterable[GroupId], now: datetime) -> DirectoryAnswer:
        if self.broken:
            raise DirectoryUnavailable("Graph answered 503")
        found = frozenset(groups) if principal.key.oid in self.members else frozenset()
        return DirectoryAnswer(at=now, state=PrincipalState.ENABLED, groups=found)

    async def close(self) -> None: ...


async def test_owners_are_tied_and_members_of_a_group_that_sponsors() -> None:
    ties = Ties(Owned(), lambda: NOW)
    assert await ties.to(ANN, {AGENT, OTHER}) == {AGENT}
    assert await ties.to(BOB, {AGENT, OTHER}) == {OTHER}


async def test_an_answer_is_used_for_a_minute() -> None:
    now, directory = [NOW], Owned()
    ties = Ties(directory, lambda: now[0])
    for seconds in (0, 59, 61, 0):  # the last: the clock was put back
        now[0] = NOW + timedelta(seconds=seconds)
        await ties.to(ANN, {AGENT})
    assert directory.queried == ["agent"] * 3


async def test_without_an_answer_nothing_can_be_decided() -> None:
    directory = Owned()
    directory.broken = True
    with pytest.raises(ServerUnavailable, match="owners and sponsors") as raised:
        await Ties(directory, lambda: NOW).to(ANN, {AGENT})
    assert (raised.value.reference, raised.value.status) == ("owners-unknown", 503)


async def test_without_a_directory_the_token_is_all_that_is_known() -> None:
    assert await Ties(None, lambda: NOW).to(ANN, {AGENT}) == frozenset()


async def test_of_a_persons_request_only_the_app_is_looked_up() -> None:
    directory = Owned()
    made = request()
    found = replace(made, kind=IdentityKind.USER, own=frozenset({made.ask.identity, AGENT}))
    assert await Ties(directory, lambda: NOW).to_request(ANN, found) == {AGENT}
    assert directory.queried == ["agent"]
