"""The steps of `pgjit doctor` over a whole installation, each with its findings.

Decides what is looked at, in which order, and which file of the configuration is a secret. What a result means is
decided in `pgjit/doctor/`. Nothing is changed but for the probes in the journal's places, which are deleted again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from pydantic import BaseModel

from pgjit.app.certificate_files import certificate_files
from pgjit.app.from_config import postgres_login, provider_of
from pgjit.app.store_commands import check_store
from pgjit.audit.keeping.probing import ProbeResult
from pgjit.audit.proof.key_file import default_key_path
from pgjit.config import Config
from pgjit.doctor.certificates import certificate_findings, expiry_finding
from pgjit.doctor.clocks import ClockReading, clock_findings
from pgjit.doctor.examine import examine
from pgjit.doctor.files import ConfiguredFile, FileKind, file_findings
from pgjit.doctor.finding import Finding, Severity
from pgjit.doctor.places import place_findings
from pgjit.doctor.reach import reach_server
from pgjit.errors import PgjitError, ServerUnavailable
from pgjit.identity.directory import DirectoryUnavailable, Principal
from pgjit.identity.graph import graph_from_section
from pgjit.identity.identity import IdentityKey

__all__ = ["ExaminedStep", "configured_files", "examine_installation", "kind_of"]

_STEP_SECONDS = 120.0
_KEYS_SECONDS = 15.0
_SECRET_KEYS = frozenset({"key", "sslkey", "file", "headers", "federated_token"})
_DATA_KEYS = frozenset({"journal.folder", "store.path"})
_NOBODY = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class ExaminedStep:
    name: str
    findings: tuple[Finding, ...]


Examination = Callable[[], Awaitable[list[Finding]]]


async def examine_installation(
    config: Config, source: Path, probe: Callable[[], list[ProbeResult]], begins: Callable[[str], None]
) -> AsyncIterator[ExaminedStep]:
    """`source`: the configuration file. `probe`: of the journal's places. `begins` gets the name of each step."""
    steps: dict[str, Examination] = {
        "configuration": lambda: _done(_of_configuration(config)),
        "files": lambda: _done(file_findings(configured_files(config, source))),
        "journal": lambda: _probed(probe),
        "certificates": lambda: _done(_of_certificates(config, datetime.now(UTC))),
        "keys": lambda: _of_keys(config),
        "directory": lambda: _of_directory(config),
        "store": lambda: _of_store(config),
        **{f"connection {name}": _of_connection(config, name) for name in config.targets},
    }
    for name, step in steps.items():
        begins(name)
        try:
            async with asyncio.timeout(_STEP_SECONDS):
                findings = await step()
        except PgjitError as fault:
            findings = [_failed(name, fault.message, fault.detail, fault.hint)]
        except TimeoutError:
            findings = [_failed(name, f"step `{name}` did not end within {_STEP_SECONDS:g} s", None, None)]
        except Exception as fault:  # noqa: BLE001 - INVARIANT: what could not be looked at never counts as good
            findings = [_failed(name, f"step `{name}` failed", f"{type(fault).__name__}: {fault}", None)]
        if findings:
            yield ExaminedStep(name, tuple(findings))


async def _done(findings: Iterator[Finding]) -> list[Finding]:
    return list(findings)


def _failed(name: str, message: str, detail: str | None, hint: str | None) -> Finding:
    reference = f"{name.partition(' ')[0]}-unusable"
    why = detail or "what could not be looked at never counts as good"
    return Finding(severity=Severity.DANGER, reference=reference, message=message, why=why, advice=hint)


# --- files -------------------------------------------------------------------------------------------------


def configured_files(config: Config, source: Path) -> list[ConfiguredFile]:
    """All files and folders of the configuration that decide something, or hold what is for pgjit alone."""
    found = [ConfiguredFile("this configuration", source, FileKind.RULE)]
    for key, path in _paths(config.file, ""):
        if key == "store.path" and config.store is not None:
            continue
        found.append(ConfiguredFile(key, config.path(path), kind_of(key)))
    made = default_key_path(config.path(config.file.journal.folder))  # workers have one each, named after them
    keys = sorted(made.parent.glob(f"{made.stem}*{made.suffix}"))
    found += [ConfiguredFile("a key that pgjit made for the journal", each, FileKind.SECRET) for each in keys]
    policies = config.path(config.file.policies)
    found += [ConfiguredFile("policies", each, FileKind.RULE) for each in sorted(policies.glob("*.yaml"))]
    return found


def kind_of(key: str) -> FileKind:
    """What the file that `key` names holds."""
    if key in _DATA_KEYS:
        return FileKind.DATA
    return FileKind.SECRET if key.rpartition(".")[2] in _SECRET_KEYS else FileKind.RULE


def _paths(value: object, key: str) -> Iterator[tuple[str, Path]]:
    match value:
        case Path():
            yield key, value
        case BaseModel():
            for name in type(value).model_fields:
                yield from _paths(getattr(value, name), f"{key}.{name}".lstrip("."))
        case Mapping():
            for name, item in value.items():
                yield from _paths(item, f"{key}.{name}")
        case tuple():
            for item in value:
                yield from _paths(item, key)


def _of_configuration(config: Config) -> Iterator[Finding]:
    why = "pgjit starts with it, and writes it to its log"
    for warning in config.warnings:
        yield Finding(severity=Severity.WARNING, reference="configuration", message=warning, why=why)
    if not config.warnings:
        message = f"{len(config.policies)} policies and {len(config.targets)} connections, without a remark"
        yield Finding(
            severity=Severity.NOTE, reference="configuration", message=message, why="`pgjit check` says the same"
        )


async def _probed(probe: Callable[[], list[ProbeResult]]) -> list[Finding]:
    return list(place_findings(await asyncio.to_thread(probe)))


def _of_certificates(config: Config, now: datetime) -> Iterator[Finding]:
    for each in certificate_files(config):
        yield from certificate_findings(each.key, each.path.read_bytes(), now, serves=each.serves)


# --- servers -----------------------------------------------------------------------------------------------


async def _of_keys(config: Config) -> list[Finding]:
    provider = provider_of(config, config.file.identity)
    await provider.start()
    try:
        loop = asyncio.get_running_loop()
        until = loop.time() + _KEYS_SECONDS
        # No event reports that keys came, or that all sources failed.
        while (  # noqa: ASYNC110
            not provider.ready and any(each.up for each in provider.dependencies) and loop.time() < until
        ):
            await asyncio.sleep(0.05)
        faults = [f"{each.name}: {each.fault or 'no answer yet'}" for each in provider.dependencies if not each.up]
        if not provider.ready:
            hint = "Can this machine reach identity.authority (or identity.issuer), through a proxy if there is one?"
            return [
                _failed("keys", "signing keys could not be fetched: no token can be checked", "; ".join(faults), hint)
            ]
    finally:
        await provider.close()
    issuers = ", ".join(each.name for each in provider.dependencies)
    return [Finding(severity=Severity.NOTE, reference="keys", message="signing keys were fetched", why=issuers)]


async def _of_directory(config: Config) -> list[Finding]:
    directory = graph_from_section(config.file.identity, config.folder)
    if directory is None:
        return []
    try:
        for tenant in config.file.identity.tenant:
            await directory.look_up(Principal(IdentityKey(tenant, _NOBODY), is_user=True), [], datetime.now(UTC))
            await directory.look_up(Principal(IdentityKey(tenant, _NOBODY), is_user=False), [], datetime.now(UTC))
    except DirectoryUnavailable as fault:
        hint = "It needs User.Read.All, GroupMember.Read.All and Application.Read.All, with admin consent."
        return [_failed("directory", "Graph does not answer: memberships cannot be checked", str(fault), hint)]
    finally:
        await directory.close()
    why = "a user and an app that do not exist were looked up"
    return [Finding(severity=Severity.NOTE, reference="directory", message="Graph answers", why=why)]


async def _of_store(config: Config) -> list[Finding]:
    state = await check_store(config)
    schema = "does not exist yet: `pgjit serve` creates it" if state.schema is None else f"has schema {state.schema}"
    why = f"PostgreSQL {state.server}" if state.server else "a SQLite file, for one node"
    found = [Finding(severity=Severity.NOTE, reference="store", message=f"store {state.name} {schema}", why=why)]
    if config.store is not None:
        found += clock_findings("the store", await _clock_of_store(config), of_store=True)
    return found


async def _clock_of_store(config: Config) -> ClockReading:
    from pgjit.grants.stores.postgres_login import connect  # here: its driver is not always needed

    assert config.store is not None
    connection = await connect(postgres_login(config.store))
    try:
        sent = datetime.now(UTC)
        theirs: datetime = await connection.fetchval("SELECT clock_timestamp()")
        return ClockReading(sent, datetime.now(UTC), theirs)
    finally:
        await connection.close()


def _of_connection(config: Config, name: str) -> Examination:
    target = config.targets[name]

    async def examination() -> list[Finding]:
        reached = await reach_server(target)
        message = f"connection {name}: PostgreSQL {reached.version} at {reached.address} accepts the login"
        why = f"role {target.user}, database {target.database}"
        found = [Finding(severity=Severity.NOTE, reference="connection", message=message, why=why)]
        found += clock_findings(reached.address, reached.clock)
        if reached.certificate is not None:
            certificate = x509.load_der_x509_certificate(reached.certificate)
            expiry = expiry_finding(f"the certificate of {reached.address}", certificate, datetime.now(UTC))
            found += [] if expiry is None else [expiry]
        return [*found, *await _of_role(config, name)]

    return examination


async def _of_role(config: Config, name: str) -> list[Finding]:
    policies = [policy for policy in config.policies.values() if policy.connection == name]
    try:
        report = await examine(config.targets[name], policies)
    except ServerUnavailable as fault:
        return [_failed("login-role", fault.message, fault.detail, fault.hint)]
    dangers, warnings = report.count(Severity.DANGER), report.count(Severity.WARNING)
    if not dangers and not warnings:
        return []
    return [
        Finding(
            severity=Severity.DANGER if dangers else Severity.WARNING,
            reference="login-role",
            message=f"its login role has {_counted(dangers, 'danger')} and {_counted(warnings, 'warning')}",
            why="a statement that got past the rules could use them",
            objects=tuple(each.message for each in report.findings if each.severity is Severity.DANGER),
            advice=f"pgjit doctor --connection {name} explains them, and has the SQL against them.",
        )
    ]


def _counted(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"
