"""The settings of a session on the real server."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pgjit.policy.policy import Preset
from pgjit.proxy.door.startup_request import StartupRequest
from pgjit.proxy.server_settings import session_settings, watched_parameters
from tests.fakes.both_ends import NOW
from tests.fakes.policies import access

OPENING = StartupRequest("ann", "shop", "psql", None, {"TimeZone": "UTC"})
END = NOW + timedelta(minutes=10)


def settings(
    server_major: int = 18, preset: Preset = Preset.READ_ONLY, opening: StartupRequest = OPENING
) -> dict[str, str]:
    return session_settings(access(preset, END), opening, "s_1", server_major, NOW)


def test_settings_that_judging_relies_on_are_pinned() -> None:
    assert settings() == {
        "TimeZone": "UTC",
        "application_name": "pgjit s_1 psql",
        "client_encoding": "UTF8",
        "standard_conforming_strings": "on",
        "search_path": "app, public",
        "role": "none",
        "pgjit.identity": "11111111-1111-4111-8111-111111111111/aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa",
        "default_transaction_read_only": "on",
        "statement_timeout": "602000",
        "idle_in_transaction_session_timeout": "602000",
        "client_connection_check_interval": "500ms",
        "idle_session_timeout": "602000",
        "transaction_timeout": "602000",
    }


def test_a_policy_that_may_write_is_not_read_only() -> None:
    assert settings(preset=Preset.READ_WRITE)["default_transaction_read_only"] == "off"


def test_no_startup_setting_replaces_a_pinned_one() -> None:
    opening = StartupRequest("ann", "shop", None, None, {"client_encoding": "SJIS", "statement_timeout": "0"})
    found = settings(opening=opening)
    assert (found["client_encoding"], found["statement_timeout"]) == ("UTF8", "602000")
    assert found["application_name"] == "pgjit s_1"


def test_no_timeout_of_the_servers_comes_before_pgjit_has_ended_the_session() -> None:
    """A statement that it cancelled at the window's end would let the next one that waits there begin."""
    left = (END - NOW) // timedelta(milliseconds=1)
    timeouts = {name: int(value) for name, value in settings().items() if name.endswith("_timeout")}
    assert len(timeouts) == 4
    assert min(timeouts.values()) >= left + 2_000


@pytest.mark.parametrize(
    ("major", "absent"),
    [
        (13, {"client_connection_check_interval", "idle_session_timeout", "transaction_timeout"}),
        (14, {"transaction_timeout"}),
        (16, {"transaction_timeout"}),
        (17, set[str]()),
    ],
)
def test_a_server_is_sent_only_settings_that_it_knows(major: int, absent: set[str]) -> None:
    assert absent == set(settings(18)) - set(settings(major))


@pytest.mark.parametrize("late", [timedelta(0), timedelta(seconds=5), timedelta(microseconds=-1)])
def test_a_timeout_is_never_zero_which_would_mean_none(late: timedelta) -> None:
    found = session_settings(access(Preset.READ_ONLY, END), OPENING, "s_1", 18, END + late)
    assert found["statement_timeout"] == "2001"


def test_an_application_name_is_cut_behind_the_sessions_id() -> None:
    name = settings(opening=StartupRequest("ann", "shop", "x" * 100, None))["application_name"]
    assert name.startswith("pgjit s_1 x")
    assert len(name) == 63


def test_the_pinned_settings_and_the_user_are_watched() -> None:
    reported = {"session_authorization": "reader", "is_superuser": "off", "TimeZone": "UTC"}
    pinned = {"client_encoding": "UTF8", "standard_conforming_strings": "on"}
    assert watched_parameters(access(Preset.READ_WRITE, END), {}) == pinned
    assert watched_parameters(access(Preset.READ_ONLY, END), reported) == {
        **pinned, "default_transaction_read_only": "on", "session_authorization": "reader", "is_superuser": "off",
    }  # fmt: skip


def test_under_full_access_the_login_roles_own_defaults_stand_and_nothing_is_pinned_but_the_belts() -> None:
    found = settings(preset=Preset.FULL)
    assert "default_transaction_read_only" not in found
    assert {"statement_timeout", "idle_in_transaction_session_timeout", "client_connection_check_interval"} <= set(
        found
    )
    assert watched_parameters(access(Preset.FULL, END), {"session_authorization": "x", "is_superuser": "off"}) == {}
