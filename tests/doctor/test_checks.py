"""Rows in, findings out: what each check says of what a server answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from pgjit.doctor.check import Check
from pgjit.doctor.checks import CHECKS, containers, functions, relations, secrets, session
from pgjit.doctor.checks.connection import connection_findings
from pgjit.doctor.checks.login import login_findings
from pgjit.doctor.finding import Finding, Severity
from pgjit.doctor.subject import PUBLIC, Membership, Privilege, ReachedRole, Subject
from pgjit.policy.pattern import Patterns
from pgjit.policy.policy import Preset
from pgjit.server.target import SslMode
from tests.doctor.subjects import GOOD, good

DANGER, WARNING, NOTE = Severity.DANGER, Severity.WARNING, Severity.NOTE


def _told(findings: Sequence[Finding]) -> list[tuple[Severity, str]]:
    return [(finding.severity, finding.reference) for finding in findings]


def _of(check: Check[Any], rows: Sequence[object], subject: Subject) -> list[tuple[Severity, str]]:
    return _told(list(check.findings(rows, subject)))


def _grant(kind: str, name: str, privilege: str, **changes: Any) -> Privilege:
    return Privilege(kind, name, privilege, GOOD.oid, "postgres", "postgres", grantable=False)._replace(**changes)


def _routine(**changes: Any) -> functions.Routine:
    return functions.Routine(
        routine="app.report(integer)",
        schema="app",
        name="report",
        grantee=PUBLIC,
        grantor="postgres",
        owner="postgres",
        grantable=False,
        definer=False,
        language="sql",
        trusted=True,
        volatility="s",
        extension="",
        shadows=False,
        behind=[],
        beyond=False,
    )._replace(**changes)


def test_a_good_role_has_nothing_said_against_it() -> None:
    assert _told(list(login_findings(good()))) == []
    assert _told(list(connection_findings(good()))) == []
    for check in CHECKS:
        severe = [finding for finding in check.findings([], good()) if finding.severity is DANGER]
        assert severe == [], check.name


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"superuser": True}, [(DANGER, "role-superuser")]),
        ({"createrole": True}, [(DANGER, "role-createrole")]),
        ({"createdb": True}, [(DANGER, "role-createdb")]),
        ({"replication": True}, [(DANGER, "role-replication")]),
        ({"bypassrls": True}, [(DANGER, "role-bypassrls")]),
        ({"connection_limit": -1}, [(NOTE, "no-connection-limit")]),
        ({"connection_limit": 0}, [(DANGER, "connection-limit-too-low")]),
        ({"connection_limit": 1}, [(DANGER, "connection-limit-too-low")]),
        ({"connection_limit": 2}, [(NOTE, "low-connection-limit")]),
        ({"connection_limit": 5}, []),
        ({"days_valid": -1.0}, [(WARNING, "valid-until")]),
        ({"days_valid": 3.0}, [(WARNING, "valid-until")]),
        ({"days_valid": 300.0}, [(NOTE, "valid-until")]),
    ],
)
def test_an_attribute_of_the_login_role_is_told(
    changes: dict[str, Any], expected: list[tuple[Severity, str]]
) -> None:
    assert _told(list(login_findings(good(**changes)))) == expected


def test_the_first_role_of_a_cluster_is_told_to_be_replaced_and_not_altered() -> None:
    (found,) = login_findings(good(superuser=True, oid=10))
    assert found.fix == ()
    assert found.advice is not None


@pytest.mark.parametrize(
    ("role", "severity"),
    [
        (ReachedRole(1, "pg_read_all_data", [], ["pg_read_all_data"], owner=False), DANGER),
        (ReachedRole(1, "pg_signal_backend", [], ["pg_signal_backend"], owner=False), DANGER),
        (ReachedRole(1, "pg_monitor", [], ["pg_monitor"], owner=False), WARNING),
        (ReachedRole(1, "pg_of_the_future", [], ["pg_of_the_future"], owner=False), DANGER),
        (ReachedRole(1, "readers", [], ["readers"], owner=False), WARNING),
        (ReachedRole(1, "admins", ["SUPERUSER"], ["readers"], owner=False), DANGER),
        (ReachedRole(1, "owners", [], ["readers"], owner=True), DANGER),
    ],
)
def test_a_role_that_can_be_reached_is_told_by_what_it_gives(role: ReachedRole, severity: Severity) -> None:
    memberships = tuple(Membership(name, "postgres", False, True, True) for name in role.through)
    (found,) = login_findings(replace(good(), reached=(role,), memberships=memberships))
    assert found.severity is severity
    assert found.fix == tuple(f"REVOKE {name} FROM agent GRANTED BY postgres;" for name in role.through)


def test_what_comes_with_a_predefined_role_is_told_once() -> None:
    reached = tuple(
        ReachedRole(oid, name, [], ["pg_monitor"], owner=False)
        for oid, name in enumerate(("pg_monitor", "pg_read_all_stats", "pg_read_all_settings"), 1)
    )
    assert _told(list(login_findings(replace(good(), reached=reached)))) == [(WARNING, "member-of-pg-monitor")]


def test_a_membership_that_can_be_passed_on_is_a_danger() -> None:
    subject = replace(good(), memberships=(Membership("readers", "postgres", True, True, True),))
    (found,) = login_findings(subject)
    assert found.reference == "admin-option"
    assert found.fix == ("REVOKE readers FROM agent GRANTED BY postgres CASCADE;",)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"sslmode": SslMode.DISABLE, "hosts": ("127.0.0.1", "db.internal")}, [(DANGER, "no-tls")]),
        ({"sslmode": SslMode.DISABLE, "hosts": ("127.0.0.1",)}, [(NOTE, "no-tls")]),
        ({"sslmode": SslMode.REQUIRE}, [(WARNING, "server-not-verified")]),
        ({"sslmode": SslMode.VERIFY_CA}, [(NOTE, "server-name-not-verified")]),
        ({"sslmode": SslMode.VERIFY_FULL}, []),
        ({"login": GOOD._replace(version=120022)}, [(DANGER, "server-too-old")]),
        ({"login": GOOD._replace(version=130023)}, [(WARNING, "no-client-check")]),
        ({"login": GOOD._replace(version=190000)}, [(WARNING, "server-too-new")]),
        ({"policies": ("a", "b")}, [(NOTE, "policies-share-a-login")]),
        (
            {"access": frozenset((Preset.READ_ONLY, Preset.READ_WRITE))},
            [(WARNING, "readers-and-writers-share-a-login")],
        ),
    ],
)
def test_how_the_connection_is_configured_is_told(
    changes: dict[str, Any], expected: list[tuple[Severity, str]]
) -> None:
    assert _told(list(connection_findings(replace(good(), **changes)))) == expected


@pytest.mark.parametrize(
    ("grant", "expected"),
    [
        (_grant("SCHEMA", "public", "CREATE"), (DANGER, "create-in-schema")),
        (_grant("DATABASE", "shop", "CREATE"), (DANGER, "create-in-database")),
        (_grant("DATABASE", "shop", "TEMPORARY"), (WARNING, "temporary-objects")),
        (_grant("DATABASE", "other", "CONNECT"), (NOTE, "other-databases")),
        (_grant("LANGUAGE", "plpgsql", "USAGE"), (WARNING, "do-blocks")),
        (_grant("FOREIGN SERVER", "far", "USAGE"), (DANGER, "foreign-server")),
        (_grant("FOREIGN DATA WRAPPER", "fdw", "USAGE"), (DANGER, "foreign-data-wrapper")),
        (_grant("TABLESPACE", "fast", "CREATE"), (WARNING, "create-in-tablespace")),
        (_grant("PARAMETER", "log_statement", "SET"), (DANGER, "set-parameter")),
        (_grant("PARAMETER", "log_statement", "ALTER SYSTEM"), (DANGER, "alter-system")),
    ],
)
def test_a_right_on_a_container_is_told(grant: Privilege, expected: tuple[Severity, str]) -> None:
    assert _of(containers.CONTAINERS, [grant], good()) == [expected]


@pytest.mark.parametrize(
    ("grant", "reading", "writing"),
    [
        (_grant("TABLE", "t", "INSERT"), (DANGER, "write-tables"), (NOTE, "write-tables")),
        (_grant("TABLE", "t", "UPDATE (a)"), (DANGER, "write-tables"), (NOTE, "write-tables")),
        (_grant("TABLE", "t", "TRUNCATE"), (DANGER, "write-tables"), (NOTE, "write-tables")),
        (_grant("SEQUENCE", "s", "UPDATE"), (WARNING, "write-sequences"), (NOTE, "write-sequences")),
        (_grant("TABLE", "t", "TRIGGER"), (DANGER, "trigger-on-tables"), (DANGER, "trigger-on-tables")),
        (_grant("TABLE", "t", "REFERENCES (a)"), (WARNING, "maintain-tables"), (WARNING, "maintain-tables")),
        (_grant("TABLE", "t", "MAINTAIN"), (WARNING, "maintain-tables"), (WARNING, "maintain-tables")),
        (
            _grant("TABLE", "t", "DELETE", what="foreign table"),
            (DANGER, "write-foreign-tables"),
            (DANGER, "write-foreign-tables"),
        ),
        (
            _grant("TABLE", "t", "SELECT", what="foreign table"),
            (WARNING, "read-foreign-tables"),
            (WARNING, "read-foreign-tables"),
        ),
    ],
)
def test_a_right_on_a_relation_is_told_by_what_the_policies_are_to_do(
    grant: Privilege, reading: tuple[Severity, str], writing: tuple[Severity, str]
) -> None:
    assert _of(relations.RELATIONS, [grant], good()) == [reading]
    writer = replace(good(), access=frozenset((Preset.READ_WRITE,)))
    assert _of(relations.RELATIONS, [grant], writer) == [writing]


@pytest.mark.parametrize(
    ("check", "row", "expected"),
    [
        (relations.CATALOGS, _grant("TABLE", "pg_authid", "SELECT", what="pg_authid"), (DANGER, "secret-catalogs")),
        (relations.CATALOGS, _grant("TABLE", "pg_stats", "SELECT", what="pg_stats"), (NOTE, "column-statistics")),
        (relations.LARGE_OBJECTS, _grant("LARGE OBJECT", "1", "UPDATE"), (DANGER, "write-large-objects")),
        (relations.LARGE_OBJECTS, _grant("LARGE OBJECT", "1", "SELECT"), (NOTE, "read-large-objects")),
        (relations.DEFAULTS, relations.Default("maker", "app", "r", "DELETE", PUBLIC), (WARNING, "future-rights")),
        (relations.DEFAULTS, relations.Default("maker", "app", "r", "SELECT", PUBLIC), None),
        (relations.OWNED, relations.Owned(GOOD.oid, "", "table t"), (DANGER, "owns-objects")),
        (relations.OWNED, relations.Owned(4711, "", "table t"), None),  # a group's: reported as the membership
        (session.SIBLINGS, session.Sibling("cron", "10.0.0.1/32", 2), (WARNING, "login-shared")),
        (session.MAPPINGS, session.Mapping("far", "PUBLIC", PUBLIC), (DANGER, "user-mapping")),
        (session.AUTHENTICATION, session.LoginMethod(None), (WARNING, "login-not-proved")),
        (session.AUTHENTICATION, session.LoginMethod("md5:agent"), (WARNING, "weak-login")),
        (session.AUTHENTICATION, session.LoginMethod("scram-sha-256:agent"), None),
        (session.EVENT_TRIGGERS, session.EventTrigger("watch", "login"), (NOTE, "event-triggers")),
        (secrets.SECRETS, secrets.StoredSecret("pg_roles.rolconfig", "app.key"), (WARNING, "secrets-in-catalogs")),
        (
            secrets.SECRETS,
            secrets.StoredSecret("pg_foreign_server.srvoptions", None),
            (WARNING, "secrets-in-catalogs"),
        ),
        (session.ROW_SECURITY, session.RowPolicy("t", "p", by_setting=False), (NOTE, "row-security")),
        (session.VIEWS, session.View("v", materialized=False), (WARNING, "views-past-row-security")),
    ],
)
def test_a_row_is_told(check: Check[Any], row: object, expected: tuple[Severity, str] | None) -> None:
    assert _of(check, [row], good()) == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"definer": True}, "security-definer"),
        ({"definer": True, "extension": "dblink"}, "security-definer"),
        ({"language": "plpython3u", "trusted": False}, "untrusted-language"),
        ({"language": "plpython3u", "trusted": False, "extension": "mine"}, "untrusted-language"),
        ({"language": "c", "trusted": False}, "untrusted-language"),
        ({"language": "c", "trusted": False, "extension": "pg_trgm"}, None),
        ({"language": "c", "trusted": False, "extension": "dblink"}, "outreach"),
        ({"shadows": True}, "overload"),
        ({"shadows": True, "extension": "intarray"}, None),
        ({"beyond": True, "extension": "pageinspect"}, "extension-restricted"),
        ({"routine": "public.crosstab2(text)", "extension": "tablefunc"}, "runs-text"),
        ({"routine": "public.connectby(text, text)", "extension": "tablefunc"}, "runs-text"),
        ({"routine": "public.normal_rand(integer)", "extension": "tablefunc"}, None),
        ({"behind": ["operator app.@@@"]}, "hidden-function"),
        ({"volatility": "v"}, "volatile-function"),
        ({}, "own-function"),
    ],
)
def test_a_function_is_told_under_the_worst_that_can_be_said(changes: dict[str, Any], expected: str | None) -> None:
    assert functions.classify(_routine(**changes)) == expected


def test_a_function_that_was_granted_twice_is_told_once_and_revoked_twice() -> None:
    rows = [_routine(definer=True), _routine(definer=True, grantee=GOOD.oid)]
    (found,) = functions.FUNCTIONS.findings(rows, good())
    assert found.objects == ("app.report(integer)",)
    assert found.fix == (
        "REVOKE EXECUTE ON ROUTINE app.report(integer) FROM PUBLIC;",
        "REVOKE EXECUTE ON ROUTINE app.report(integer) FROM agent;",
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"definer": True}, (WARNING, "named-function")),
        ({"language": "plpython3u", "trusted": False}, (WARNING, "named-function")),
        ({"volatility": "v"}, (NOTE, "named-function")),
        ({"definer": True, "name": "reports"}, (DANGER, "security-definer")),
    ],
)
def test_a_function_that_a_policy_names_is_meant_to_be_called(
    changes: dict[str, Any], expected: tuple[Severity, str]
) -> None:
    subject = replace(good(), named=(Patterns.of(["app.report"], 1, 2),))
    (found,) = functions.FUNCTIONS.findings([_routine(**changes)], subject)
    assert (found.severity, found.reference) == expected
    assert (found.fix == ()) == (found.reference == "named-function")


@pytest.mark.parametrize(
    ("name", "beyond", "expected"),
    [
        ("lo_create", False, (WARNING, "large-object-functions")),
        ("lowrite", False, (WARNING, "large-object-functions")),
        ("pg_try_advisory_lock", False, (WARNING, "advisory-locks")),
        ("pg_logical_emit_message", False, (WARNING, "write-ahead-log-messages")),
        ("pg_notify", False, (NOTE, "notifications")),
        ("pg_export_snapshot", False, (NOTE, "snapshots")),
        ("pg_read_file", True, (DANGER, "server-functions")),
        ("lo_import", True, (DANGER, "server-functions")),
    ],
)
def test_a_built_in_function_is_told(name: str, beyond: bool, expected: tuple[Severity, str]) -> None:
    row = functions.Builtin(f"pg_catalog.{name}(oid)", PUBLIC, "postgres", "postgres", False, name, beyond)
    assert _of(functions.BUILTIN, [row], good()) == [expected]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"application_name": "pgbouncer"}, [(DANGER, "startup-settings-lost")]),
        ({"search_path": "public"}, [(DANGER, "startup-settings-lost")]),
        ({"password_encryption": "md5"}, [(WARNING, "md5-passwords")]),
        ({"lo_compat_privileges": True}, [(DANGER, "large-objects-unchecked")]),
        ({"check_settable": False}, [(WARNING, "no-client-check")]),
    ],
)
def test_what_a_session_is_like_is_told(changes: dict[str, Any], expected: list[tuple[Severity, str]]) -> None:
    row = session.LoginSession(
        application_name="pgjit doctor",
        search_path="pg_catalog",
        password_encryption="scram-sha-256",
        lo_compat_privileges=False,
        check_settable=True,
    )._replace(**changes)
    assert _of(session.SESSION, [row], good()) == expected


def test_settings_of_the_role_are_told_with_where_they_were_made() -> None:
    held = session.RoleSetting(True, "", "default_transaction_read_only", "on")
    assert list(session.SETTINGS.findings([held], good())) == []
    (found,) = session.SETTINGS.findings([held, session.RoleSetting(False, "shop", "role", "owner")], good())
    assert found.severity is DANGER
    assert found.fix == ("ALTER ROLE ALL IN DATABASE shop RESET role;",)
    assert _of(session.SETTINGS, [], good()) == [(NOTE, "not-read-only-by-default")]


def test_views_cannot_be_put_right_by_an_option_that_the_server_does_not_have() -> None:
    (found,) = session.VIEWS.findings([session.View("v", materialized=False)], good(version=140000))
    assert found.fix == ()
    assert found.advice is not None


def test_every_finding_says_what_to_do_or_is_a_note() -> None:
    rows: list[tuple[Check[Any], object]] = [
        (relations.OWNED, relations.Owned(GOOD.oid, "elsewhere", "")),
        (session.SIBLINGS, session.Sibling("", "local", 1)),
        (session.ROW_SECURITY, session.RowPolicy("t", "p", by_setting=True)),
    ]
    for check, row in rows:
        for finding in check.findings([row], good()):
            assert finding.fix or finding.advice or finding.severity is NOTE
