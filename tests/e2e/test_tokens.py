"""From the source of a token to a session: real client libraries and the real psql, through pgjit."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import azure.identity as azure
import msal
import requests

from pgjit.demo.emulator import AZURE_CLI, FederatedCredential, PrincipalKind, RegisteredPrincipal
from pgjit.demo.world import World
from tests.demo.emulator.clouds import Certified
from tests.e2e.clients import Said, connect_psycopg, psql
from tests.e2e.worlds import READERS, add_reader, ask, records
from tests.run.journal_text import journal_text
from tests.run.waiting import until_it_holds

SUBJECT = "system:serviceaccount:agents:reader"
Variables = dict[str, str]


async def run_pgjit(world: World, variables: Variables, *arguments: str) -> Said:
    process = await start_pgjit(world, variables, *arguments)
    out, err = await process.communicate()
    return Said(out.decode(), err.decode(), process.returncode or 0)


async def start_pgjit(world: World, variables: Variables, *arguments: str) -> asyncio.subprocess.Process:
    ours = ("AZURE_", "PGJIT_", "IDENTITY_", "PG")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    told = {
        "PGJIT_HOST": "localhost",
        "PGJIT_PORT": str(world.app.port),
        "PGJIT_SSLROOTCERT": str(world.certificates.authority),
        "PGJIT_AUDIENCE": world.emulator.audience,
        "PGJIT_PSQL": str(world.psql),
        "PGJIT_POLICY": "reader",
        "PGOPTIONS": "-c pgjit.notices=off",
    }
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pgjit", *arguments, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**kept, **told, **variables},
    )  # fmt: skip


def at_azure(world: World, client_id: str | None) -> Variables:
    return {
        "AZURE_AUTHORITY_HOST": world.emulator.tls_url,
        "AZURE_TENANT_ID": world.emulator.tenant,
        "AZURE_CLIENT_ID": str(client_id),
        "REQUESTS_CA_BUNDLE": str(world.certificates.authority),
    }


def by_variable(world: World, folder: Path) -> Variables:
    return {"PGJIT_TOKEN": world.emulator.issue(add_reader(world))}


def by_emulator(world: World, folder: Path) -> Variables:
    app = add_reader(world)
    place = {"PGJIT_EMULATOR": world.emulator.url, "AZURE_CLIENT_SECRET": app.client_secret}
    return {**at_azure(world, app.client_id), **place}


def by_secret(world: World, folder: Path) -> Variables:
    app = add_reader(world)
    return {**at_azure(world, app.client_id), "AZURE_CLIENT_SECRET": app.client_secret}


def by_certificate(world: World, folder: Path) -> Variables:
    proof = Certified()
    path = folder / "app.pem"
    path.write_bytes(proof.pem)
    app = RegisteredPrincipal(kind=PrincipalKind.APP, display="certified", certificates=(proof.certificate,))
    world.emulator.directory.add(app, [READERS])
    return {**at_azure(world, app.client_id), "AZURE_CLIENT_CERTIFICATE_PATH": str(path)}


def by_workload_identity(world: World, folder: Path) -> Variables:
    cloud = world.emulator.cloud
    trusted = FederatedCredential(cloud.workload_issuer, SUBJECT)
    app = world.emulator.directory.add(
        RegisteredPrincipal(kind=PrincipalKind.APP, display="pod", federated=(trusted,)), [READERS]
    )
    at = int(cloud.now().timestamp())
    path = folder / "federated-token"
    claims = {"iss": cloud.workload_issuer, "sub": SUBJECT, "aud": trusted.audience, "iat": at, "exp": at + 600}
    path.write_text(cloud.workload.sign(claims))
    return {**at_azure(world, app.client_id), "AZURE_FEDERATED_TOKEN_FILE": str(path)}


def by_machine(world: World, folder: Path) -> Variables:
    world.emulator.directory.add(
        RegisteredPrincipal(kind=PrincipalKind.MANAGED_IDENTITY, display="machine"), [READERS]
    )
    return {"AZURE_POD_IDENTITY_AUTHORITY_HOST": world.emulator.identity_url}


def by_app_service(world: World, folder: Path) -> Variables:
    # Its own identity: the machine's, which another source has, is there too.
    world.emulator.directory.add(
        RegisteredPrincipal(kind=PrincipalKind.MANAGED_IDENTITY, display="web app", system_assigned=True), [READERS]
    )
    header = world.emulator.identity_header
    return {"IDENTITY_ENDPOINT": f"{world.emulator.identity_url}/msi/token", "IDENTITY_HEADER": header}


def by_azure_cli(world: World, folder: Path) -> Variables:
    person = world.emulator.directory.add(
        RegisteredPrincipal(kind=PrincipalKind.USER, display="Ana Visser"), [READERS]
    )
    answer = {"accessToken": world.emulator.issue(person), "expires_on": 2_000_000_000, "tokenType": "Bearer"}
    command = folder / "az"
    command.write_text(f"#!/bin/sh\necho '{json.dumps(answer)}'\n")
    command.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


SOURCES: dict[str, tuple[Callable[[World, Path], Variables], str]] = {
    "variable": (by_variable, "a reader"),
    "emulator": (by_emulator, "a reader"),
    "service principal, secret": (by_secret, "a reader"),
    "service principal, certificate": (by_certificate, "certified"),
    "workload identity": (by_workload_identity, "pod"),
    "managed identity of a machine": (by_machine, "machine"),
    "managed identity of App Service": (by_app_service, "web app"),
    "Azure CLI": (by_azure_cli, "ana.visser@example.com"),
}


async def test_psql_logs_in_with_a_token_of_every_source(world: World, tmp_path: Path) -> None:
    for make, display in SOURCES.values():
        before = len(records(world, "session.opened"))
        variables = make(world, tmp_path)
        said = await run_pgjit(
            world, variables, "psql", "prod-replica", "-XAt", "-c", "SELECT count(*) FROM customers"
        )
        assert (said.status, said.out, said.err) == (0, "8000\n", "")
        [opened] = records(world, "session.opened")[before:]
        assert display in json.dumps(opened)


async def test_a_token_of_a_source_is_printed_and_never_on_record(world: World, tmp_path: Path) -> None:
    token = await run_pgjit(world, by_secret(world, tmp_path), "token")
    assert token.err == ""
    assert (await psql(world, token.out.strip(), "reader", "SELECT 1")).out == "1\n"
    assert token.out.strip().split(".")[2] not in journal_text(world.journal)


async def test_the_exit_code_is_psqls_own(world: World, tmp_path: Path) -> None:
    variables = by_emulator(world, tmp_path)
    failing = ("psql", "prod-replica", "-X", "-v", "ON_ERROR_STOP=1", "-f", "-")
    assert (await run_pgjit(world, variables, *failing)).status == 0
    said = await run_pgjit(world, variables, "psql", "prod-replica", "-Xc", "DELETE FROM notes")
    assert said.status == 1
    assert "not allowed" in said.err
    said = await run_pgjit(world, {**variables, "PGJIT_POLICY": "writer"}, "psql", "prod-replica", "-Xc", "SELECT 1")
    assert said.status == 2


async def test_ctrl_c_reaches_psql_and_stops_the_statement(world: World, tmp_path: Path) -> None:
    running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(600)'"
    process = await start_pgjit(
        world, by_emulator(world, tmp_path), "psql", "prod-replica", "-XAt", "-c", "SELECT pg_sleep(600)"
    )
    async with asyncio.timeout(60):
        await until_it_holds(lambda: ask(world.database, running))
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
    assert b"canceling statement due to user request" in err
    assert process.returncode == 1
    assert await ask(world.database, running) == 0


async def test_any_client_is_run_with_the_token_in_its_environment(world: World, tmp_path: Path) -> None:
    program = """if True:
        import psycopg
        connection = psycopg.connect("")
        print(connection.execute("SHOW pgjit.policy").fetchone()[0], connection.pgconn.ssl_in_use)
    """
    said = await run_pgjit(
        world, by_emulator(world, tmp_path), "exec", "prod-replica", "--", sys.executable, "-c", program
    )
    assert said.err == ""
    assert said.out.startswith("reader ")
    assert said.out.endswith("True\n")


async def test_a_certificate_of_somebody_else_gets_no_token(world: World, tmp_path: Path) -> None:
    variables = {**by_emulator(world, tmp_path), "PGJIT_HOST": "127.0.0.2"}
    said = await run_pgjit(world, variables, "psql", "prod-replica", "-XAt", "-c", "SELECT 1")
    assert said.status == 2
    assert records(world, "session.opened") == []


def opened_by(world: World) -> tuple[object, object]:
    """Who opened the one session that there was, by the journal: the object id, and the kind of principal."""
    [opened] = records(world, "session.opened")
    identity = opened["identity"]
    assert isinstance(identity, dict)
    return identity["oid"], identity["kind"]


async def test_a_person_logs_in_by_device_code(world: World) -> None:
    person = world.emulator.directory.add(
        RegisteredPrincipal(kind=PrincipalKind.USER, display="Ana Visser"), [READERS]
    )

    def get() -> str:
        def shown(place: str, code: str, ends: object) -> None:
            assert world.emulator.cloud.codes.decide(code, person.oid)

        with azure.DeviceCodeCredential(
            AZURE_CLI,
            tenant_id=world.emulator.tenant,
            authority=world.emulator.tls_url,
            disable_instance_discovery=True,
            connection_verify=str(world.certificates.authority),
            prompt_callback=shown,
        ) as credential:
            return credential.get_token(f"{world.emulator.audience}/.default").token

    said = await psql(world, await asyncio.to_thread(get), "reader", "SHOW pgjit.identity")
    assert said.out == f"{world.emulator.tenant}/{person.oid}\n"
    assert opened_by(world) == (person.oid, "user")


async def test_an_agent_logs_in_with_the_token_that_its_blueprint_fetched(world: World) -> None:
    directory = world.emulator.directory
    blueprint = directory.add(
        RegisteredPrincipal(kind=PrincipalKind.BLUEPRINT, display="agents", secrets=("only-for-tests",))
    )
    agent = directory.add(
        RegisteredPrincipal(kind=PrincipalKind.AGENT, display="agent 7", parent=blueprint.client_id), [READERS]
    )

    def get() -> str:
        with requests.Session() as session:
            session.trust_env, session.verify = False, str(world.certificates.authority)
            place = {
                "authority": f"{world.emulator.tls_url}/{world.emulator.tenant}",
                "instance_discovery": False,
                "http_client": session,
            }
            first = msal.ConfidentialClientApplication(
                blueprint.client_id, client_credential="only-for-tests", **place
            )

            def proof() -> str:
                exchange = ["api://AzureADTokenExchange/.default"]
                return str(first.acquire_token_for_client(exchange, fmi_path=agent.client_id)["access_token"])

            own = msal.ConfidentialClientApplication(
                agent.client_id, client_credential={"client_assertion": proof}, **place
            )
            return str(own.acquire_token_for_client([f"{world.emulator.audience}/.default"])["access_token"])

    async with await connect_psycopg(world, await asyncio.to_thread(get), "reader") as connection:
        row = await (await connection.execute("SHOW pgjit.identity")).fetchone()
    assert row == (f"{world.emulator.tenant}/{agent.oid}",)
    assert opened_by(world) == (agent.oid, "agent")
