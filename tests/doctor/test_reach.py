"""What answers at a connection; what fails there is one error, and the login is left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pgjit.doctor import reach
from pgjit.doctor.reach import reach_server
from pgjit.errors import ServerUnavailable
from tests.fakes.scripted_server import READY, ScriptedServer, Step, close, expect, fatal, send, startup, until_left
from tests.fakes.targets import answering, logged_in, target_at

pytestmark = pytest.mark.live


async def test_a_server_that_answers_is_reached_with_its_version_and_its_clock() -> None:
    theirs = datetime.now(UTC) - timedelta(hours=1)
    async with ScriptedServer([*logged_in(), *answering(str(theirs.timestamp())), until_left()]) as server:
        reached = await reach_server(target_at(server))
    assert (reached.version, reached.certificate) == ("18.1", None)
    assert reached.address.endswith(f":{server.port}")
    assert reached.clock.ahead >= timedelta(hours=1)


@pytest.mark.parametrize(
    ("steps", "detail"),
    [
        ([startup(), send(fatal("53300", "full")), close()], "full"),
        ([*logged_in(), expect("Q"), send(fatal("57014", "too slow") + READY), until_left()], "57014"),
        ([*logged_in(), expect("Q"), close()], ""),
        ([*logged_in(), *answering("noon"), until_left()], "noon"),
        ([*logged_in(), *answering(None), until_left()], ""),
    ],
    ids=["refuses", "fails", "is-gone", "no-clock", "no-row"],
)
async def test_what_fails_is_one_error_with_its_cause(steps: list[Step], detail: str) -> None:
    async with ScriptedServer(steps) as server:
        with pytest.raises(ServerUnavailable, match="connection `shop` cannot be used") as raised:
            await reach_server(target_at(server))
    assert raised.value.detail is not None
    assert detail in raised.value.detail


async def test_a_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "_SECONDS", 0.2)
    async with ScriptedServer([*logged_in(), expect("Q"), until_left()]) as server:
        with pytest.raises(ServerUnavailable) as raised:
            await reach_server(target_at(server))
    assert raised.value.detail == "TimeoutError, within 0.2 s"
