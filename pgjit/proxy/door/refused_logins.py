"""Records each connection that does not become a session, with the true reason.

Decides how a flood is recorded. After a TLS handshake each refusal has its own record. Before TLS, and of the tokens
that the HTTP API does not accept, a limited number a second have one; the others are counted into one record a second
for each address. Only a port check (a connection closed without a byte) is not recorded.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from pgjit.audit.event import LoginRefused
from pgjit.audit.journal import Journal
from pgjit.errors import JournalUnavailable
from pgjit.identity.identity import Identity
from pgjit.proxy.door.connection_limits import ClientAddress
from pgjit.telemetry import Telemetry
from pgwire.messages.startup import StartupMessage

__all__ = ["Counted", "RefusedLogins", "Tally"]

_log = logging.getLogger("pgjit.refusals")
_LEVELS = {"client-left": logging.INFO, "handshake-failed": logging.INFO}
_INTERVAL_SECONDS = 1.0
_SINGLE_OF_ADDRESS = 10
_SINGLE = 100
_MOST_COUNTED = 256
OTHERS = "other addresses"


class Counted(NamedTuple):
    """The key by which refusals are counted together."""

    network: str
    reference: str
    sqlstate: str


class Tally:
    """The refusals of one interval: which have their own record, and the counts of the others. Pure."""

    def __init__(self) -> None:
        self._single: Counter[str] = Counter()
        self._counted: Counter[Counted] = Counter()

    def allow_single(self, network: str) -> bool:
        """Whether one more refusal of this address has its own record in this interval."""
        if self._single[network] >= _SINGLE_OF_ADDRESS or self._single.total() >= _SINGLE:
            return False
        self._single[network] += 1
        return True

    def count(self, key: Counted, times: int = 1) -> None:
        if key not in self._counted and len(self._counted) >= _MOST_COUNTED:
            key = key._replace(network=OTHERS)
        self._counted[key] += times

    def drain(self) -> list[tuple[Counted, int]]:
        """The counts of this interval; the next one begins."""
        counted = list(self._counted.items())
        self._single.clear()
        self._counted.clear()
        return counted


class RefusedLogins:
    def __init__(self, journal: Journal, clock: Callable[[], datetime], telemetry: Telemetry) -> None:
        self._journal = journal
        self._clock = clock
        self._telemetry = telemetry
        self._tally = Tally()
        self._timer: asyncio.TimerHandle | None = None

    def note(
        self,
        client: ClientAddress,
        reference: str,
        sqlstate: str,
        reason: str,
        *,
        startup: StartupMessage | None = None,
        identity: Identity | None = None,
    ) -> bool:
        """Record a refusal now. False if the journal does not accept it."""
        self._telemetry.login(reference)
        return self._write(client, reference, sqlstate, reason, startup, identity)

    def _write(
        self,
        client: ClientAddress,
        reference: str,
        sqlstate: str,
        reason: str,
        startup: StartupMessage | None = None,
        identity: Identity | None = None,
        count: int = 1,
    ) -> bool:
        parameters = startup.parameters if startup else {}
        event = LoginRefused(
            at=self._clock(),
            source=client.source,
            reference=reference,
            sqlstate=sqlstate,
            reason=reason,
            startup_user=parameters.get("user", "")[:63] or None,
            startup_database=parameters.get("database", "")[:63] or None,
            identity=identity,
            count=count,
            balancer=client.balancer,
        )
        try:
            self._journal.append([event])
        except JournalUnavailable:
            _log.error("a refused connection could not be recorded: %s from %s", reference, client.source)
            return False
        fields = {"reference": reference, "source": client.source, "count": count if count > 1 else None}
        _log.log(_LEVELS.get(reference, logging.WARNING), "login refused: %s", reason, extra=fields)
        return True

    def note_unauthenticated(
        self,
        client: ClientAddress,
        reference: str,
        sqlstate: str,
        reason: str,
        *,
        startup: StartupMessage | None = None,
        identity: Identity | None = None,
    ) -> None:
        """Record a refusal before TLS, or of the HTTP API's token: now, or within a second, counted with others."""
        self._telemetry.login(reference)
        self._start_timer()
        if self._tally.allow_single(client.network) and self._write(
            client, reference, sqlstate, reason, startup, identity
        ):
            return
        self._tally.count(Counted(client.network, reference, sqlstate))

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_INTERVAL_SECONDS, self._write_counts)

    def _write_counts(self) -> None:
        self._timer = None
        for key, times in self._tally.drain():
            reason = f"{times} refused within a second, counted together"
            if not self._write(
                ClientAddress(key.network, key.network), key.reference, key.sqlstate, reason, count=times
            ):
                self._tally.count(key, times)  # the journal may accept it later
                self._start_timer()

    def close(self) -> None:
        """Record the refusals that were only counted so far."""
        if self._timer is not None:
            self._timer.cancel()
            self._write_counts()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            _log.critical("refused connections that were counted could not be recorded")
