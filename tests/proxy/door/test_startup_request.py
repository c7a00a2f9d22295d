"""The startup message: parameters that are accepted, passed on, or refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgjit.errors import PgjitError
from pgjit.policy.session_settings import FREE
from pgjit.proxy.door.startup_request import StartupRequest, read_startup_request
from pgjit.proxy.door.startup_settings import check_settings
from pgwire.messages.startup import StartupMessage
from tests.fakes.policies import TARGET, policy


def opened(major: int = 3, minor: int = 0, **parameters: str) -> StartupRequest:
    return read_startup_request(StartupMessage(major, minor, parameters))


def with_options(options: str) -> StartupRequest:
    return opened(user="ann", options=options)


NOT_IN_OPTIONS = [
    r"-c options=-c\ work_mem=9GB\ -S\ 9999999", "--OPTIONS=-W9", "-cOptions=", "-c user=eve", "--user=eve",
    "-c database=other", "-c replication=on", "-c replication=off", "-c _pq_.x=1", "-c _PQ_.command_tag=1",
    "---pq-.x=1", "-c =1", r"-c pgjit.identity\ =x", "-c pgjit.identity=x", r"-c \ pgjit.identity=x",
    '-c "pgjit".identity=x', "-c a..b=1", "-c 1a=1", "-c a.=1", r"-c a\ b=1", "-c a;b=1",
]  # fmt: skip
NOT_NAMES = [
    "_PQ_.x",
    " pgjit.identity",
    "pgjit.identity ",
    '"pgjit".identity',
    "a.",
    ".a",
    "a b",
    "a\n",
    "\u017fearch",
    "a" * 128,
]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"user": "ann"}, StartupRequest("ann", "ann", None, None)),
        ({"user": "ann", "database": ""}, StartupRequest("ann", "ann", None, None)),
        ({"user": "ann", "database": "shop"}, StartupRequest("ann", "shop", None, None)),
        ({"user": "a" * 70, "database": "d" * 70}, StartupRequest("a" * 63, "d" * 63, None, None)),
        ({"user": "ann", "application_name": "psql"}, StartupRequest("ann", "ann", "psql", None)),
        ({"user": "ann", "application_name": ""}, StartupRequest("ann", "ann", "", None)),
        ({"user": "ann", "client_encoding": "UTF8"}, StartupRequest("ann", "ann", None, None)),
        ({"user": "ann", "client_encoding": "'utf-8'"}, StartupRequest("ann", "ann", None, None)),
        ({"user": "ann", "DateStyle": "ISO"}, StartupRequest("ann", "ann", None, None, {"datestyle": "ISO"})),
        ({"user": "ann", "timezone": "UTC"}, StartupRequest("ann", "ann", None, None, {"timezone": "UTC"})),
        (
            {"user": "ann", "INTERVALSTYLE": "iso_8601", "extra_float_digits": "3"},
            StartupRequest("ann", "ann", None, None, {"intervalstyle": "iso_8601", "extra_float_digits": "3"}),
        ),
        ({"user": "ann", "_pq_.anything": "1"}, StartupRequest("ann", "ann", None, None)),
        ({"user": "ann", "options": ""}, StartupRequest("ann", "ann", None, None)),
        ({"user": "ann", "replication": "false"}, StartupRequest("ann", "ann", None, None)),
        ({"user": "ann", "replication": "OFF"}, StartupRequest("ann", "ann", None, None)),
    ],
)
def test_what_is_accepted(parameters: dict[str, str], expected: StartupRequest) -> None:
    assert expected == read_startup_request(StartupMessage(3, 0, parameters))


@pytest.mark.parametrize(
    ("parameters", "sqlstate"),
    [
        ({}, "28000"),
        ({"user": ""}, "28000"),
        ({"database": "shop"}, "28000"),
        ({"user": "ann", "replication": "database"}, "0A000"),
        ({"user": "ann", "replication": "true"}, "0A000"),
        ({"user": "ann", "replication": ""}, "0A000"),
        ({"user": "ann", "Replication": "1"}, "0A000"),
        ({"user": "ann", "options": "-c replication=on"}, "28000"),
        ({"user": "ann", "client_encoding": "SJIS"}, "28000"),
        ({"user": "ann", "client_encoding": ""}, "28000"),
        ({"user": "ann", "TimeZone": "x" * 257}, "28000"),
        ({"user": "ann", "TimeZone": "UTC", "timezone": "CET"}, "08P01"),
        ({"user": "ann", "User": "eve"}, "08P01"),
        ({"user": "ann", "TimeZone": "UTC", "options": "-c timezone=CET"}, "08P01"),
        *(({"user": "ann", "options": each}, "28000") for each in NOT_IN_OPTIONS),
        *(({"user": "ann", each: "1"}, "28000") for each in NOT_NAMES),
        ({"user": "ann", "options": "-c pgjit.policy=x"}, "28000"),
    ],
)
def test_what_is_not_known_is_refused(parameters: dict[str, str], sqlstate: str) -> None:
    with pytest.raises(PgjitError) as refused:
        read_startup_request(StartupMessage(3, 0, parameters))
    assert (refused.value.sqlstate, refused.value.severity) == (sqlstate, "FATAL")


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ("-c TimeZone=UTC", {"timezone": "UTC"}),
        ("-cTimeZone=UTC", {"timezone": "UTC"}),
        ("--timezone=UTC", {"timezone": "UTC"}),
        ("--STATEMENT-TIMEOUT=5s -c jit=off", {"statement_timeout": "5s", "jit": "off"}),
        ("--extra-float-digits=3", {"extra_float_digits": "3"}),
        ("  -c   DateStyle=ISO,\\ DMY  ", {"datestyle": "ISO, DMY"}),
        ("-c DateStyle='ISO, DMY'", {"datestyle": "ISO, DMY"}),
        ("-c DateStyle=ISO\t-c\nTimeZone=UTC", {"datestyle": "ISO", "timezone": "UTC"}),
        ("-c TimeZone=a=b", {"timezone": "a=b"}),
        ("-c TimeZone=\\\\", {"timezone": "\\"}),
        ("-c client_encoding=utf8", {}),
    ],
)
def test_options_are_settings_in_the_forms_of_postgresql(options: str, settings: dict[str, str]) -> None:
    assert settings == with_options(options).settings


@pytest.mark.parametrize(
    "options", ["-c", "-c TimeZone", "-c =x", "--", "-d 5", "TimeZone=UTC", "-c ''", "''", "-B 10"]
)
def test_options_that_are_something_else_than_settings_are_refused(options: str) -> None:
    with pytest.raises(PgjitError, match="`options`"):
        with_options(options)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("-c pgjit.reason='schema diff, week 47'", "schema diff, week 47"),
        ("-c pgjit.reason=schema\\ diff", "schema diff"),
        ("-c pgjit.ticket=OPS-7", "OPS-7"),
        ("-c pgjit.reason=diff -c pgjit.ticket=OPS-7", "diff (ticket OPS-7)"),
        ("-c pgjit.reason='  '", None),
        (f"-c pgjit.reason={'x' * 2000}", "x" * 1000),
    ],
)
def test_a_reason_is_read_and_never_goes_on_to_the_server(options: str, reason: str | None) -> None:
    opening = with_options(options)
    assert reason == opening.reason
    assert opening.settings == {}


def test_a_newer_minor_version_is_accepted_and_another_major_is_not() -> None:
    assert opened(3, 2, user="ann").user == "ann"
    for major in (2, 4):
        with pytest.raises(PgjitError) as refused:
            opened(major, user="ann")
        assert refused.value.sqlstate == "0A000"


@given(st.text(alphabet="-c= \\'aTimeZonepgjit.reason", max_size=40))
def test_any_options_are_settings_that_may_be_set_or_refused(options: str) -> None:
    with contextlib.suppress(PgjitError):
        opening = with_options(options)
        check_settings(opening, policy(), TARGET)
        assert opening.settings.keys() <= FREE
