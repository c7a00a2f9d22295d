"""The exact words of every error: clients, agents and runbooks depend on them."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta, timezone

import pytest

from pgjit import errors
from pgjit.errors import (
    AccessRefused,
    BudgetSpent,
    CatalogBeingRead,
    CoolingDown,
    InvalidFile,
    JournalUnavailable,
    PgjitError,
    ProtocolFault,
    ServerEndedSession,
    ServerNotAccepting,
    ServerUnavailable,
    SettingRejected,
    ShuttingDown,
    StatementRefused,
    TlsRequired,
    TokenRefused,
    TooManyConnections,
    WindowOver,
    utc_text,
)

ENDED = datetime(2026, 11, 24, 9, 30, 0, 999, tzinfo=UTC)
RETRY = ENDED + timedelta(hours=1)

CASES: list[tuple[PgjitError, dict[str, str], int]] = [
    (
        TokenRefused("expired", "`exp` was 12 seconds ago"),
        {
            "S": "FATAL",
            "C": "28P01",
            "M": "access token was not accepted",
            "H": "Get a fresh access token for this proxy's audience and give it as the password.",
            "R": "pgjit:token-refused",
        },
        401,
    ),
    (
        AccessRefused("no policy", reference="no-policy", detail="What.", hint="How."),
        {"S": "FATAL", "C": "28000", "M": "no policy", "D": "What.", "H": "How.", "R": "pgjit:no-policy"},
        403,
    ),
    (
        TlsRequired(),
        {
            "S": "FATAL",
            "C": "28000",
            "M": "connection is not encrypted",
            "D": "An access token never travels over an unencrypted connection.",
            "H": "Connect with sslmode=verify-full.",
            "R": "pgjit:tls-required",
        },
        403,
    ),
    (
        CoolingDown(policy="schema-checks", ended_at=ENDED, retry_at=RETRY),
        {
            "S": "FATAL",
            "C": "28000",
            "M": "window under policy `schema-checks` is over",
            "D": "It ended at 2026-11-24 09:30:00 UTC. Nothing done by its holder moves that end.",
            "H": "A new window may be requested from 2026-11-24 10:30:00 UTC: connect again then.",
            "R": "pgjit:cooling-down",
        },
        403,
    ),
    (
        StatementRefused("no", reference="statement-kind", sqlstate="42601", detail="D", hint="H", position=8),
        {
            "S": "ERROR",
            "C": "42601",
            "M": "no",
            "D": "D",
            "H": "H",
            "P": "8",
            "R": "pgjit:statement-kind",
        },
        403,
    ),
    (
        StatementRefused("no", reference="statement-kind"),
        {"S": "ERROR", "C": "42501", "M": "no", "R": "pgjit:statement-kind"},
        403,
    ),
    (
        BudgetSpent("too much", reference="too-much", detail="D", hint="H"),
        {"S": "ERROR", "C": "54000", "M": "too much", "D": "D", "H": "H", "R": "pgjit:too-much"},
        429,
    ),
    (
        TooManyConnections("too many", reference="too-many-connections", detail="D", hint="H"),
        {"S": "FATAL", "C": "53300", "M": "too many", "D": "D", "H": "H", "R": "pgjit:too-many-connections"},
        429,
    ),
    (
        WindowOver(policy="schema-checks", ended_at=ENDED, retry_at=RETRY),
        {
            "S": "FATAL",
            "C": "57P01",
            "M": "terminating connection: window under policy `schema-checks` is over",
            "D": "It ended at 2026-11-24 09:30:00 UTC (ttl).",
            "H": "A new window may be requested from 2026-11-24 10:30:00 UTC: connect again then.",
            "R": "pgjit:window-ended",
        },
        403,
    ),
    (
        ShuttingDown(),
        {
            "S": "FATAL",
            "C": "57P01",
            "M": "terminating connection: pgjit is shutting down",
            "H": "Connect again: the window keeps its end and is joined by the next connection.",
            "R": "pgjit:shutting-down",
        },
        503,
    ),
    (
        ServerEndedSession("57P01", "terminating connection due to administrator command"),
        {
            "S": "FATAL",
            "C": "57P01",
            "M": "terminating connection due to administrator command",
            "R": "pgjit:server-said",
        },
        503,
    ),
    (
        JournalUnavailable(),
        {
            "S": "ERROR",
            "C": "58030",
            "M": "statement was not run because it could not be recorded",
            "D": "Nothing reached the database: pgjit runs nothing that it cannot record first.",
            "H": "Try again later; the operators of this proxy have to look at its journal.",
            "R": "pgjit:journal-unavailable",
        },
        503,
    ),
    (
        JournalUnavailable(fatal=True),
        {
            "S": "FATAL",
            "C": "58030",
            "M": "statement was not run because it could not be recorded",
            "D": "Nothing reached the database: pgjit runs nothing that it cannot record first.",
            "H": "Try again later; the operators of this proxy have to look at its journal.",
            "R": "pgjit:journal-unavailable",
        },
        503,
    ),
    (
        ProtocolFault("not a message", detail="D", hint="H"),
        {
            "S": "FATAL",
            "C": "08P01",
            "M": "not a message",
            "D": "D",
            "H": "H",
            "R": "pgjit:protocol-violation",
        },
        400,
    ),
    (
        SettingRejected('invalid value for parameter "TimeZone": "Mars"'),
        {
            "S": "FATAL",
            "C": "22023",
            "M": 'invalid value for parameter "TimeZone": "Mars"',
            "D": "The database server does not accept a parameter of the startup message.",
            "H": "Leave the parameter out, or give it a value that the server knows.",
            "R": "pgjit:startup-parameter",
        },
        400,
    ),
    (
        ServerNotAccepting("53300", 'too many connections for role "secret"', detail="db:5432: logging in: …"),
        {
            "S": "FATAL",
            "C": "53300",
            "M": "sorry, too many clients already",
            "D": "db:5432: logging in: …",
            "H": "Try again in a moment.",
            "R": "pgjit:server-turns-away",
        },
        503,
    ),
    (
        CatalogBeingRead(connection="shop", seconds=12.4),
        {
            "S": "FATAL",
            "C": "57P03",
            "M": "the catalog of connection `shop` is still being read",
            "D": "Reading began 12 s ago; no window was opened.",
            "H": "Connect again in a few seconds: reading goes on meanwhile, once for all sessions.",
            "R": "pgjit:catalog-being-read",
        },
        503,
    ),
    (
        ServerUnavailable("down", reference="store-unavailable", detail="D", hint="H"),
        {"S": "FATAL", "C": "57P03", "M": "down", "D": "D", "H": "H", "R": "pgjit:store-unavailable"},
        503,
    ),
    (
        InvalidFile("pgjit.yaml", ["pgjit.yaml:1:1: no", "pgjit.yaml:2:1: nor"]),
        {
            "S": "FATAL",
            "C": "F0000",
            "M": "pgjit.yaml has 2 faults",
            "D": "pgjit.yaml:1:1: no\npgjit.yaml:2:1: nor",
            "R": "pgjit:invalid-file",
        },
        400,
    ),
]
IDS = [f"{type(error).__name__}-{error.fields()['S']}-{error.fields()['C']}" for error, _, _ in CASES]


@pytest.mark.parametrize(("error", "fields", "status"), CASES, ids=IDS)
def test_the_fields_of_an_error_response(error: PgjitError, fields: dict[str, str], status: int) -> None:
    assert error.fields() == {**fields, "V": fields["S"]}
    assert str(error) == fields["M"]


@pytest.mark.parametrize(("error", "fields", "status"), CASES, ids=IDS)
def test_the_problem_of_an_http_answer(error: PgjitError, fields: dict[str, str], status: int) -> None:
    expected: dict[str, object] = {
        "type": f"urn:pgjit:error:{error.reference}",
        "title": fields["M"],
        "status": status,
        "sqlstate": fields["C"],
    }
    if "D" in fields:
        expected["detail"] = fields["D"]
    if "H" in fields:
        expected["hint"] = fields["H"]
    assert error.problem() == expected


@pytest.mark.parametrize(("error", "fields", "status"), CASES, ids=IDS)
def test_the_wording_rules_hold(error: PgjitError, fields: dict[str, str], status: int) -> None:
    assert fields["M"][0].islower()
    assert not fields["M"].endswith(".")
    assert "\n" not in fields["M"]


def test_every_error_has_a_row_here() -> None:
    kinds = {
        value
        for _, value in inspect.getmembers(errors, inspect.isclass)
        if issubclass(value, PgjitError) and value is not PgjitError
    }
    assert kinds == {type(error) for error, _, _ in CASES}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            AccessRefused("no policy", reference="no-policy", detail="What.", hint="How."),
            "error: no policy [no-policy]\ndetail: What.\nhint: How.",
        ),
        (AccessRefused("no policy", reference="no-policy"), "error: no policy [no-policy]"),
        (
            InvalidFile("pgjit.yaml", ["pgjit.yaml:1:1: no"]),
            "error: pgjit.yaml has 1 fault [invalid-file]\n  pgjit.yaml:1:1: no",
        ),
    ],
)
def test_the_lines_of_a_terminal(error: PgjitError, expected: str) -> None:
    assert error.terminal() == expected


def test_the_true_reason_of_a_refused_token_is_kept_from_the_client() -> None:
    error = TokenRefused("expired", "`exp` was 12 seconds ago")
    told = f"{error.fields()} {error.problem()} {error.terminal()} {error}"
    assert "expired" not in told
    assert "12 seconds" not in told
    assert (error.reason, error.explanation) == ("expired", "`exp` was 12 seconds ago")


def test_a_cooling_down_error_carries_its_times() -> None:
    error = CoolingDown(policy="p", ended_at=ENDED, retry_at=RETRY)
    assert (error.ended_at, error.retry_at) == (ENDED, RETRY)


@pytest.mark.parametrize("reference", ["", "Statement", "a_b", "a--b", "-a", "a-", "a b", "a\n", "1a"])
def test_a_reference_is_kebab_case(reference: str) -> None:
    with pytest.raises(ValueError, match="kebab-case"):
        AccessRefused("no", reference=reference)


def test_moments_are_shown_in_utc() -> None:
    there = ENDED.astimezone(timezone(timedelta(hours=-8)))
    assert utc_text(there) == "2026-11-24 09:30:00 UTC"


@pytest.mark.parametrize(
    ("sqlstate", "said", "read"),
    [
        ("57P03", "the database system is starting up", "the database system is starting up"),
        ("57P03", "the database system is in recovery mode", "the database system is in recovery mode"),
        ("57P03", "Das Datenbanksystem startet", "the database system is starting up"),
        ("57P03", "the database system is shutting down\nleak", "the database system is shutting down"),
        ("53300", "remaining connection slots are reserved for x", "remaining connection slots are reserved"),
        ("57P01", "anything", "terminating connection due to administrator command"),
    ],
)
def test_a_server_that_takes_no_session_now_is_told_in_known_words_only(sqlstate: str, said: str, read: str) -> None:
    shown = ServerNotAccepting(sqlstate, said, detail="where").for_client()
    assert (shown.message, shown.detail, shown.fields()["C"]) == (read, None, sqlstate)
    assert shown.problem()["sqlstate"] == sqlstate
