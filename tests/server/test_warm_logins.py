"""Logins made ahead: who takes one, and what keeps it from being taken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from pgjit.server.credential import CredentialUnavailable
from pgjit.server.login_error import LoginFailed
from pgjit.server.upstream import Upstream
from pgjit.server.warm_logins import NextLogin, WarmLogins
from pgwire.messages.query import command_complete, error_response, parameter_status, ready_for_query
from tests.run.waiting import until

SETTINGS = {
    "application_name": "pgjit w_1 psql", "pgjit.identity": "t/o", "default_transaction_read_only": "on",
    "statement_timeout": "60000",
}  # fmt: skip
OWN = SETTINGS | {"application_name": "pgjit s_1 it's", "statement_timeout": "59000"}
DONE = command_complete("SET") + ready_for_query(b"I")


@dataclass
class _Link:
    """The server's end answers every query with `answer`."""

    answer: bytes = parameter_status("application_name", "pgjit s_1 it's") + DONE
    sent: list[bytes] = field(default_factory=list)

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    async def receive(self) -> bytes:
        return self.answer


@dataclass(eq=False)
class _Backend:
    link: _Link = field(default_factory=_Link)
    left: bool = False

    def __post_init__(self) -> None:
        self.upstream = Upstream(cast("Any", self.link), cast("Any", None), cast("Any", None), 1, b"", {}, b"hello")

    async def leave(self) -> None:
        self.left = True


class _Secret:
    value = "before"

    async def secret(self) -> str:
        return self.value

    def refused(self) -> None: ...


class _Server:
    """Logs in, and remembers every backend."""

    def __init__(self, most: int = 4) -> None:
        self.made: list[_Backend] = []
        self.secret = _Secret()
        self.fault: Exception | None = None
        self.login_fault: Exception | None = None
        self.warm: WarmLogins[_Backend] = WarmLogins(most, self.secret, self._log_in, self._check)

    async def _log_in(self, settings: Callable[[int], dict[str, str]]) -> _Backend:
        settings(18)
        if self.login_fault is not None:
            raise self.login_fault
        self.made.append(_Backend())
        return self.made[-1]

    async def _check(self, backend: _Backend) -> None:
        if self.fault is not None:
            raise self.fault

    async def login(self, kind: str = "a", seconds: float = 600) -> _Backend | None:
        """One session: it takes a connection or logs in, and others are made ahead."""
        following = NextLogin(kind, lambda _: dict(SETTINGS), seconds)
        taken = await self.warm.take(following, lambda _: dict(OWN))
        self.warm.used(following)
        await self.settled()
        return taken

    async def settled(self) -> None:
        while self.warm._tasks:
            await asyncio.gather(*self.warm._tasks)


async def test_the_second_session_takes_what_was_made_after_the_first() -> None:
    server = _Server()
    assert await server.login() is None
    assert len(server.made) == 1
    taken = await server.login()
    assert taken is server.made[0]
    assert not taken.left
    assert taken.link.sent[0][5:-1] == (b"SET application_name TO 'pgjit s_1 it''s';SET statement_timeout TO '59000'")
    assert taken.upstream.greeting == b"hello" + parameter_status("application_name", "pgjit s_1 it's")
    assert taken.upstream.parameters == {"application_name": "pgjit s_1 it's"}


async def test_each_is_used_once_and_more_are_made_for_who_connects_often() -> None:
    server = _Server()
    taken = [await server.login() for _ in range(6)]
    assert [each is None for each in taken] == [True, *[False] * 5]
    assert len(set(map(id, taken))) == len(taken)
    assert server.warm.ready == 4


async def test_none_is_made_without_room_for_one_nor_without_time() -> None:
    server = _Server(most=0)
    await server.login()
    assert server.made == []
    server = _Server()
    await server.login(seconds=0)
    assert server.made == []


@pytest.mark.parametrize("name", ["pgjit.identity", "default_transaction_read_only"])
async def test_what_reset_brings_back_is_what_the_session_would_have(name: str) -> None:
    server = _Server()
    await server.login()
    following = NextLogin("a", lambda _: dict(SETTINGS), 60)
    assert await server.warm.take(following, lambda _: OWN | {name: "other"}) is None
    assert server.made[0].left
    assert server.made[0].link.sent == []


@pytest.mark.parametrize(
    "own",
    [
        {name: value for name, value in OWN.items() if name != "statement_timeout"},
        OWN | {"lock_timeout": "1"},
        OWN | {"statement_timeout": "60001"},
    ],
)
async def test_settings_are_neither_missing_nor_more_nor_longer(own: dict[str, str]) -> None:
    server = _Server()
    await server.login()
    assert await server.warm.take(NextLogin("a", lambda _: dict(SETTINGS), 60), lambda _: own) is None
    assert server.made[0].left


async def test_a_changed_secret_ends_what_logged_in_with_the_earlier_one() -> None:
    server = _Server()
    await server.login()
    server.secret.value = "after"
    assert await server.login() is None
    assert server.made[0].left


async def test_it_is_left_if_the_secret_cannot_be_had_once_it_has_logged_in() -> None:
    server = _Server()
    asked = iter((False, True))  # before the login, and after it

    async def secret() -> str:
        if next(asked):
            raise CredentialUnavailable("the secret store has no answer")
        return "before"

    server.secret.secret = secret  # type: ignore[method-assign]
    server.warm.used(NextLogin("a", lambda _: dict(SETTINGS), 600))
    await server.settled()
    assert [each.left for each in server.made] == [True]
    assert server.warm.ready == 0


async def test_a_login_ahead_that_fails_is_tried_again_after_the_next_session() -> None:
    server = _Server()
    server.login_fault = LoginFailed("db", "connecting", "connection refused", try_next=True)
    assert await server.login() is None
    assert server.warm.ready == 0
    server.login_fault = None
    assert await server.login() is None
    assert await server.login() is not None


async def test_a_server_that_would_not_be_chosen_now_is_not_used() -> None:
    server = _Server()
    await server.login()
    server.fault = LoginFailed("db", "checking its role", "it is a standby now")
    assert await server.login() is None
    assert server.made[0].left


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        error_response({"S": "FATAL", "V": "FATAL", "C": "57P01", "M": "terminating connection"}),
        error_response({"S": "ERROR", "V": "ERROR", "C": "42501", "M": "no"}) + ready_for_query(b"I"),
        b"garbage",
    ],
)
async def test_a_connection_that_the_server_has_given_up_is_not_used(answer: bytes) -> None:
    server = _Server()
    await server.login()
    server.made[0].link.answer = answer
    if answer[:1] == b"E" and not answer.endswith(ready_for_query(b"I")):
        answers = iter([answer, b""])
        setattr(server.made[0].link, "receive", lambda: asyncio.sleep(0, next(answers)))  # noqa: B010 - a method
    assert await server.login() is None
    assert server.made[0].left


async def test_sessions_of_another_kind_do_not_take_it() -> None:
    server = _Server()
    await server.login("a")
    assert await server.login("b") is None
    assert await server.login("a") is server.made[0]


async def test_the_oldest_kind_gives_way_when_there_is_no_room() -> None:
    server = _Server(most=1)
    await server.login("a")
    await server.login("b")
    assert [each.left for each in server.made] == [True, False]
    assert server.warm.ready == 1


async def test_it_is_left_when_its_time_is_over() -> None:
    server = _Server()
    await server.login(seconds=0.001)
    await until(lambda: server.made[0].left)
    assert server.warm.ready == 0
    assert await server.login() is None


async def test_closing_leaves_what_is_ready_and_what_is_being_made() -> None:
    server = _Server()
    await server.login()
    server.warm.used(NextLogin("a", lambda _: dict(SETTINGS), 60))
    await server.warm.close()
    assert [each.left for each in server.made] == [True] * len(server.made)
    await server.login()
    assert server.warm.ready == 0


async def test_room_is_made_at_the_server() -> None:
    server = _Server()
    await server.login()
    assert await server.warm.drop_all()
    assert server.made[0].left
    assert not await server.warm.drop_all()
