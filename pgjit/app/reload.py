"""Reads the configuration again while pgjit runs, and puts it in force: all of it, or nothing.

Decides the order: read and check the files, record what changes, change it in one step of the event loop.
`config_change.py` decides what can change, `policy_following.py` what becomes of open windows and sessions.

INVARIANT: files with a fault change nothing. What is not in the journal is not in force.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pgjit.api.reload_result import EndedEarlier, ReloadRefused, ReloadResult, ReloadStanding
from pgjit.api.section import HttpRolesSection
from pgjit.app.certificate_files import expiries
from pgjit.app.config_change import (
    ConfigChange,
    FileDigests,
    change_of,
    digests_of,
    is_still_there,
    kept_file,
)
from pgjit.app.connections import Connections
from pgjit.app.file_watch import FileWatch
from pgjit.app.from_config import limits_of, server_tls, versions_of
from pgjit.audit.reload_event import ConfigReloaded, ReloadFailed
from pgjit.config import Config, load_config
from pgjit.errors import InvalidFile, JournalUnavailable
from pgjit.grants.actor import Actor
from pgjit.proxy.listener import Listener
from pgjit.proxy.policy_following import Followed, PolicyFollowing
from pgjit.proxy.services import Services
from pgjit.proxy.window.fleet_node import FleetNode

__all__ = ["Reload", "ReloadState"]

_log = logging.getLogger("pgjit.reload")
_READINGS = 3
_MOST_FAULTS = 20
"""How many faults a record has."""


@dataclass(slots=True)
class ReloadState:
    """How reloading went so far, for the metrics."""

    in_force_since: datetime  # the configuration
    succeeded: int = 0
    failed: int = 0
    refused_at: datetime | None = None  # the last reload, if it was refused


@dataclass(frozen=True, slots=True)
class _Reading:
    """The files as they were read and checked."""

    config: Config
    digests: FileDigests
    expiries: dict[str, datetime]  # of certificates, by the key that names the file
    tls: ssl.SSLContext
    api_tls: ssl.SSLContext | None


class Reload:
    """`run` is the one way to change the configuration of a process that runs."""

    def __init__(self, config: Config, services: Services, connections: Connections, node: FleetNode) -> None:
        self.config = config  # what is in force
        self.expiries = expiries(config)  # of the certificates in force, by the key that names the file
        self.state = ReloadState(in_force_since=services.clock())
        self.on_tls: list[Callable[[ssl.SSLContext], None]] = []
        self.on_api_tls: list[Callable[[ssl.SSLContext], None]] = []
        self.on_change: list[Callable[[Config], None]] = []  # called in the step in which everything changes
        self.on_call: list[Callable[[], None]] = []  # called after a person's call: other processes have to follow
        self._services = services
        self._connections = connections
        self._node = node
        self._digests = digests_of(config)
        self._following = PolicyFollowing(services)
        self._restart: tuple[str, ...] = ()  # the keys that need a restart, as reported
        self._refused: list[str] = []  # the faults of the last reload, as reported
        self._one_at_a_time = asyncio.Lock()

    def api_roles(self) -> HttpRolesSection:
        section = self.config.file.api
        return HttpRolesSection() if section is None else section.roles

    @property
    def standing(self) -> ReloadStanding:
        return ReloadStanding(
            in_force_since=self.state.in_force_since,
            refused_at=self.state.refused_at,
            faults=tuple(self._refused[:_MOST_FAULTS]),
            restart=self._restart,
        )

    def reach(self, listener: Listener) -> Listener:
        """From now on it serves with the certificate and the limits that are in force."""
        self.on_tls.append(listener.serve_with)
        self.on_change.append(lambda _: listener.follow_limits())
        return listener

    async def run(self, trigger: str, by: Actor | None = None) -> ReloadResult:
        """Read the files again, and put in force what they say. Raises ReloadRefused: then nothing was changed.

        One at a time: a second one waits, and reads the files after the first is done.
        """
        async with self._one_at_a_time:
            try:
                reading = await asyncio.to_thread(self._read)
                change = change_of(self.config, reading.config, self._digests, reading.digests)
                if trigger == "watch" and not change and change.restart == self._restart:
                    self._refused, self.state.refused_at = [], None
                    return ReloadResult(config_hash=self.config.sha256, restart=change.restart)
                # No await from the record on: what is recorded later was judged by the new rules.
                self._services.journal.append([self._reloaded(trigger, by, reading, change)])
            except InvalidFile as fault:
                raise self._refuse(trigger, by, fault.faults) from None
            except JournalUnavailable:
                raise self._refuse(trigger, by, ["the journal cannot record it"]) from None
            result = self._put_in_force(reading, change)
        for follow in self.on_call if trigger == "api" else ():
            follow()
        return result

    async def attempt(self, trigger: str) -> bool:
        """The same; whether the files are in force. The log and the journal have why not."""
        try:
            await self.run(trigger)
        except ReloadRefused:
            return False
        except Exception:  # noqa: BLE001 - INVARIANT: whoever asks for it goes on, whatever fails in a reload
            _log.exception("the configuration could not be reloaded")
            return False
        return True

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Watch the files, if the configuration says so, while the block runs."""
        watch = FileWatch(lambda: self.config, lambda: self.attempt("watch"))
        watching = asyncio.create_task(watch.watch())
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await self._following.close()

    # --- reading ---------------------------------------------------------------------------------------

    def _read(self) -> _Reading:
        """In a thread. Raises InvalidFile with all faults."""
        assert self.config.source is not None
        for _ in range(_READINGS):
            config = replace(load_config(self.config.source), worker=self.config.worker)
            if is_still_there(config):
                break
        else:
            raise InvalidFile("configuration", [f"{self.config.source}:1:1: files change while they are read"])
        if faults := self._does_not_fit(config):
            raise InvalidFile(f"configuration {self.config.source}", faults)
        section = config.file.api
        api_tls = None if section is None else server_tls(config, section.tls or config.file.tls)
        tls = server_tls(config, config.file.tls)
        return _Reading(config, digests_of(config), expiries(config), tls, api_tls)

    def _does_not_fit(self, config: Config) -> list[str]:
        """What is wrong with it only because a section is in force that needs a restart to change."""
        keep = self.config.file.journal.keeping.keep
        needed = max((policy.ttl + policy.cooldown for policy in config.policies.values()), default=timedelta())
        if keep is not None and keep < needed:
            text = f"{config.source}:1:1: windows and cooldowns of the policies last up to {needed}, and the journal "
            return [text + "of the running process has a shorter `journal.keep_days`: that needs a restart"]
        return []

    # --- all at once -----------------------------------------------------------------------------------

    def _put_in_force(self, reading: _Reading, change: ConfigChange) -> ReloadResult:
        """INVARIANT: nothing is awaited here, and nothing in here fails for what is in the files."""
        services, config = self._services, reading.config
        before = dict(services.policies)
        services.policies.become(config.policies)
        running = replace(config, file=kept_file(self.config, config), policies=services.policies)
        self._connections.change(config.targets, moved=change.moved, logins=change.logins)
        services.authentication = running.authentication
        services.set_limits(limits_of(running))
        followed = self._following.follow(before, change.moved, seconds=running.file.limits.drain_seconds)
        self._forget_logins(change)
        services.memberships.look_for(services.policies.groups)
        self._node.announce(versions_of(running))
        services.telemetry.metrics.declare_policies(services.policies)
        for serve in self.on_tls:
            serve(reading.tls)
        if reading.api_tls is not None:
            for serve in self.on_api_tls:
                serve(reading.api_tls)
        self.config, self._digests, self.expiries = running, reading.digests, reading.expiries
        for changed in self.on_change:
            changed(running)
        return self._done(change, followed)

    def _forget_logins(self, change: ConfigChange) -> None:
        """Logins that were made ahead under other policies are not used, and secrets that are cached are fetched."""
        policies = self._services.policies
        of_changed = {policies[name].connection for name in (*change.policies.added, *change.policies.changed)}
        for name in self._connections.servers if change.policies.removed else of_changed:
            self._connections.servers[name].forget_warm()
        self._connections.refetch_secrets()

    def _done(self, change: ConfigChange, followed: Followed) -> ReloadResult:
        self.state.succeeded += 1
        self._refused, self._restart = [], change.restart
        self.state.in_force_since, self.state.refused_at = self._services.clock(), None
        result = ReloadResult(
            config_hash=self.config.sha256,
            policies=change.policies,
            connections=change.connections,
            keys=change.keys,
            restart=change.restart,
            windows=tuple(
                EndedEarlier(id=each.window.id, policy=each.window.policy, ends_at=each.ends_at, reason=each.reason)
                for each in followed.windows
            ),
            sessions_following=followed.following,
            sessions_leaving=followed.leaving,
            warnings=tuple(self.config.warnings),
        )
        _log.info("the configuration was reloaded: %s", ", ".join(changed_texts(change)) or "nothing is different")
        for warning in result.warnings:
            _log.warning("%s", warning)
        for key in change.restart:
            _log.warning("%s was changed, and needs a restart: the running process goes on as before", key)
        return result

    # --- the journal -----------------------------------------------------------------------------------

    def _reloaded(self, trigger: str, by: Actor | None, reading: _Reading, change: ConfigChange) -> ConfigReloaded:
        return ConfigReloaded(
            at=self._services.clock(),
            trigger=trigger,
            by=by,
            config_hash=reading.config.sha256,
            policies=tuple(versions_of(reading.config).items()),
            changed=tuple(changed_texts(change)),
            restart=change.restart,
        )

    def _refuse(self, trigger: str, by: Actor | None, faults: list[str]) -> ReloadRefused:
        refused = ReloadRefused(faults)
        if trigger == "watch" and self._refused == faults:
            return refused  # the watch tries again now and then, and nothing is new
        self._refused = faults
        self.state.failed += 1
        self.state.refused_at = self._services.clock()
        _log.error("%s", refused.message)
        for fault in faults:
            _log.error("%s", fault)
        first = tuple(faults[:_MOST_FAULTS])
        event = ReloadFailed(at=self._services.clock(), trigger=trigger, by=by, faults=first, count=len(faults))
        try:
            self._services.journal.append([event])
        except JournalUnavailable:
            _log.error("that a reload was refused is not in the journal")
        return refused


def changed_texts(change: ConfigChange) -> list[str]:
    """What is different now, a text for each: `policy reader`, `connection prod`, `limits.connections`."""
    return [
        *(f"policy {name}" for name in change.policies.all),
        *(f"connection {name}" for name in change.connections.all),
        *change.keys,
    ]
