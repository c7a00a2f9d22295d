"""The doctor on real servers: the demo's roles are clean; a bad one is seen through, and its SQL heals it."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
import yaml

from pgjit.cli.run import run
from pgjit.cli.status import Status
from pgjit.demo.certificates import make_certificates
from pgjit.demo.database import DemoDatabase
from pgjit.doctor.examine import Report, examine
from pgjit.doctor.finding import Severity
from pgjit.errors import ServerUnavailable
from pgjit.policy.load import load_policies
from pgjit.server.credential import FixedSecret
from pgjit.server.target import ControlLogin, Host, Target

POLICIES = Path(__file__).parents[1] / "fixtures" / "policies"
BAD = (Path(__file__).parent / "bad.sql").read_text(encoding="utf-8")
# In the demo only its own two roles may log in.
HBA = "local all postgres trust\nlocal all all scram-sha-256\n"


@pytest.fixture(scope="module", params=[16, 18])
def database(request: pytest.FixtureRequest) -> Iterator[DemoDatabase]:
    folder = Path(tempfile.mkdtemp(prefix="pgjit-doctor-"))
    served = DemoDatabase()
    served.start(folder, request.param)
    assert served._server is not None
    (served._server.pgdata / "pg_hba.conf").write_text(HBA)
    served._psql("postgres", "SELECT pg_reload_conf(); CREATE DATABASE clinic;")
    yield served
    served.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def administrator(database: DemoDatabase) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(
        host=str(database.socket_dir), port=database.port, user="postgres", database="clinic"
    )
    yield connection
    await connection.close()


def _target(server: DemoDatabase, **changes: object) -> Target:
    good = Target(
        name="prod-replica",
        hosts=(Host(str(server.socket_dir), server.port),),
        database=server.database,
        user=server.user,
        credential=FixedSecret(server.password),
    )
    return replace(good, **changes)  # type: ignore[arg-type]


def _told(report: Report, severity: Severity) -> set[str]:
    return {finding.reference for finding in report.findings if finding.severity is severity}


DANGERS = frozenset(
    (
        "role-createrole role-createdb role-replication role-bypassrls member-of-role admin-option "
        "member-of-pg-read-all-data member-of-pg-signal-backend member-of-pg-execute-server-program "
        "owns-objects create-in-schema create-in-database foreign-server foreign-data-wrapper "
        "write-foreign-tables write-tables trigger-on-tables secret-catalogs write-large-objects "
        "security-definer overload server-functions session-role user-mapping"
    ).split()
)
WARNINGS = frozenset(
    (
        "member-of-role member-of-pg-monitor temporary-objects do-blocks read-foreign-tables write-sequences "
        "maintain-tables future-rights hidden-function volatile-function large-object-functions "
        "advisory-locks write-ahead-log-messages row-security-by-setting views-past-row-security login-shared"
    ).split()
)


async def test_a_bad_role_is_seen_through_and_its_sql_heals_it(
    database: DemoDatabase, administrator: asyncpg.Connection
) -> None:
    await administrator.execute(BAD)
    target = _target(database, database="clinic", user="Bad Agent", credential=FixedSecret("throw-away"))
    sibling = await asyncpg.connect(
        host=str(database.socket_dir), port=database.port, user=target.user, password="throw-away", database="clinic"
    )
    try:
        report = await examine(target, [])
    finally:
        await sibling.close()
    assert _told(report, Severity.DANGER) == DANGERS
    assert _told(report, Severity.WARNING) == WARNINGS
    granted = 'DELETE ON TABLE "Odd Schema"."a table" FROM "Bad Agent"'
    assert f"SET ROLE granter; REVOKE {granted}; RESET ROLE;" in report.fixes

    for sql in report.fixes:
        await administrator.execute(sql)
    healed = await examine(target, [])
    assert _told(healed, Severity.DANGER) == set()
    # What no SQL puts right by itself.
    assert _told(healed, Severity.WARNING) == {"row-security-by-setting"}
    assert healed.fixes == ()


async def test_the_role_of_the_demo_is_clean_of_dangers(database: DemoDatabase) -> None:
    policies, faults = load_policies(POLICIES)
    assert faults == []
    report = await examine(_target(database), [policies["reader"]])
    assert _told(report, Severity.DANGER) == set()
    assert _told(report, Severity.WARNING) == {"do-blocks"}


async def test_what_a_writing_policy_may_write_is_no_danger_but_told(database: DemoDatabase) -> None:
    policies, _ = load_policies(POLICIES)
    target = _target(database, user=database.writer, credential=FixedSecret(database.writer_password))
    writing = await examine(target, [policies["writer"]])
    assert _told(writing, Severity.DANGER) == set()
    assert "write-tables" in _told(writing, Severity.NOTE)
    reading = await examine(target, [policies["reader"]])
    assert _told(reading, Severity.DANGER) == {"write-tables"}
    (found,) = [finding for finding in reading.findings if finding.reference == "write-tables"]
    assert found.objects == ("public.notes: DELETE, INSERT, UPDATE (granted to pgjit_writer)",)
    assert found.fix == ("REVOKE DELETE, INSERT, UPDATE ON TABLE public.notes FROM pgjit_writer;",)


async def test_a_superuser_is_told_to_be_one(database: DemoDatabase) -> None:
    report = await examine(_target(database, user="postgres", credential=None), [])
    assert "role-superuser" in _told(report, Severity.DANGER)
    assert "login-not-proved" in _told(report, Severity.WARNING)


async def test_the_look_leaves_nothing_behind(database: DemoDatabase, administrator: asyncpg.Connection) -> None:
    acl = "SELECT md5(string_agg(c::text, '' ORDER BY oid)) FROM pg_class c"
    before = await administrator.fetchval(acl)
    await examine(_target(database), [])
    assert before == await administrator.fetchval(acl)
    left = await administrator.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgjit doctor' AND xact_start IS NOT NULL"
    )
    assert left == 0


async def test_a_question_that_the_server_does_not_answer_is_a_danger(
    database: DemoDatabase, administrator: asyncpg.Connection
) -> None:
    await administrator.execute("REVOKE SELECT ON pg_catalog.pg_db_role_setting FROM PUBLIC")
    try:
        report = await examine(_target(database, database="clinic", user="postgres", credential=None), [])
        assert "not-seen" not in _told(report, Severity.DANGER)  # a superuser sees all
        report = await examine(_target(database, database="clinic"), [])
    finally:
        await administrator.execute("GRANT SELECT ON pg_catalog.pg_db_role_setting TO PUBLIC")
    unseen = [finding for finding in report.findings if finding.reference == "not-seen"]
    assert len(unseen) == 2  # two questions are about settings of roles
    assert all("permission denied" in finding.why for finding in unseen)


async def test_a_login_that_fails_is_told_without_the_password(database: DemoDatabase) -> None:
    with pytest.raises(ServerUnavailable) as refused:
        await examine(_target(database, credential=FixedSecret("not-this-one")), [])
    assert "not-this-one" not in refused.value.terminal()
    assert "password authentication failed" in refused.value.terminal()


async def test_a_role_without_a_connection_for_a_session_is_a_danger(
    database: DemoDatabase, administrator: asyncpg.Connection
) -> None:
    await administrator.execute(f"ALTER ROLE {database.user} CONNECTION LIMIT 1")
    try:
        report = await examine(_target(database), [])
    finally:
        await administrator.execute(f"ALTER ROLE {database.user} CONNECTION LIMIT 50")
    assert _told(report, Severity.DANGER) == {"connection-limit-too-low"}


async def test_the_next_host_is_looked_at_where_one_does_not_answer(database: DemoDatabase, tmp_path: Path) -> None:
    hosts = (Host(str(tmp_path), 5432), *_target(database).hosts)
    assert _told(await examine(_target(database, hosts=hosts), []), Severity.DANGER) == set()
    with pytest.raises(ServerUnavailable) as unreached:
        await examine(_target(database, hosts=hosts[:1]), [])
    assert str(tmp_path) in unreached.value.terminal()


# --- the command ---------------------------------------------------------------------------------------------


@pytest.fixture
def config(database: DemoDatabase, tmp_path: Path) -> Path:
    make_certificates(tmp_path)
    place = {"host": str(database.socket_dir), "port": database.port, "database": database.database}
    for name, secret in (("reader", database.password), ("writer", database.writer_password), ("wrong", "wrong")):
        (tmp_path / name).write_text(secret)
    document = {
        "tls": {"certificate": "server.crt", "key": "server.key"},
        "identity": {
            "tenant": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
            "audience": "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        },
        "connections": {
            "prod-replica": {**place, "user": database.user, "password": {"file": "reader"}},
            "write-target": {**place, "user": database.writer, "password": {"file": "writer"}},
            "misused": {**place, "user": database.writer, "password": {"file": "writer"}},
            "refused": {**place, "user": database.writer, "password": {"file": "wrong"}},
        },
        "policies": str(POLICIES),
    }
    path = tmp_path / "pgjit.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def test_a_clean_connection_ends_with_0(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--config", str(config), "--connection", "prod-replica"]) == Status.OK
    out = capsys.readouterr().out
    assert "Login role pgjit_agent of connection prod-replica" in out
    assert "0 dangers, 1 warning, " in out
    assert "REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC;" in out


def test_a_danger_ends_with_1_and_is_told_in_every_form(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["doctor", "--config", str(config), "--connection", "misused"]
    revoke = "REVOKE DELETE, INSERT, UPDATE ON TABLE public.notes FROM pgjit_writer;"
    assert run(command) == Status.FAILED
    out = capsys.readouterr().out
    assert "DANGER  it may write to tables  [write-tables]" in out
    assert revoke in out

    assert run([*command, "--json"]) == Status.FAILED
    document = json.loads(capsys.readouterr().out)
    assert document["connection"] == "misused"
    assert document["login"] == "pgjit_writer"
    assert document["dangers"] == 1
    assert document["findings"][0]["reference"] == "write-tables"
    assert document["findings"][0]["severity"] == "danger"
    assert document["findings"][0]["fix"] == [revoke]

    assert run([*command, "--sql"]) == Status.FAILED
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "-- for a superuser in database shop"
    assert revoke in lines


def test_a_connection_that_cannot_be_used_ends_with_4(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--config", str(config), "--connection", "refused"]) == Status.UNAVAILABLE
    assert "the login role of connection `refused` cannot be examined" in capsys.readouterr().err


def test_a_connection_that_is_not_configured_is_wrong_usage(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--config", str(config), "--connection", "nowhere"]) == Status.USAGE
    assert "is not one of misused, prod-replica, refused, write-target" in capsys.readouterr().err


async def test_the_login_for_control_is_looked_at_where_there_is_one(
    database: DemoDatabase, administrator: asyncpg.Connection
) -> None:
    target = _target(database, control=ControlLogin(user="Watch man", credential=FixedSecret("secret")))

    async def severe_references() -> set[str]:
        report = await examine(target, [])
        return {finding.reference for finding in report.findings if "control" in finding.reference}

    assert await severe_references() == {"control-role-missing"}
    await administrator.execute('CREATE ROLE "Watch man" NOLOGIN')
    try:
        assert await severe_references() == {
            "control-cannot-log-in", "control-cannot-signal", "control-cannot-see", "control-cannot-connect",
        }  # fmt: skip
        for finding in (await examine(target, [])).findings:
            if finding.reference.startswith("control-"):
                for sql in finding.fix:
                    await administrator.execute(sql)
        assert await severe_references() == set()
        await administrator.execute(f'GRANT "Watch man" TO {database.user}')
        assert "control-within-reach" in await severe_references()
    finally:
        await administrator.execute('DROP OWNED BY "Watch man"; DROP ROLE "Watch man"')


async def test_a_login_for_control_is_asked_for_under_full_access(database: DemoDatabase) -> None:
    policies, _ = load_policies(POLICIES)
    report = await examine(_target(database), [policies["full"]])
    assert "no-control-login" in {finding.reference for finding in report.findings}
    report = await examine(_target(database), [policies["reader"]])
    assert "no-control-login" not in {finding.reference for finding in report.findings}
