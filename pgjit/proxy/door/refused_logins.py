"""Each connection that does not become a session, written down with the true reason.

Decides what is kept of a flood: what costs the client a TLS handshake is recorded one by one; before that, so
many a second are, and the rest is counted into one record a second for each address. Nothing is left out but who
connects and leaves without a byte: that is a look whether the port is open, and no login.
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
_TURN_SECONDS = 1.0
_SINGLE_OF_ADDRESS = 10
_SINGLE = 100
_ADDRESSES = 256
OTHERS = "other addresses"


class Counted(NamedTuple):
    network: str
    reference: str
    sqlstate: str


class Tally:
    """What of one turn is recorded one by one, and how much of what was only counted. Pure."""

    def __init__(self) -> None:
        self._single: Counter[str] = Counter()
        self._counted: Counter[Counted] = Counter()

    def single(self, network: str) -> bool:
        """Whether one more of this address may have a record of its own in this turn."""
        if self._single[network] >= _SINGLE_OF_ADDRESS or self._single.total() >= _SINGLE:
            return False
        self._single[network] += 1
        return True

    def count(self, what: Counted, times: int = 1) -> None:
        if what not in self._counted and len(self._counted) >= _ADDRESSES:
            what = what._replace(network=OTHERS)
        self._counted[what] += times

    def turn(self) -> list[tuple[Counted, int]]:
        """What was counted in this turn; the next one begins."""
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
        source: str,
        reference: str,
        sqlstate: str,
        reason: str,
        *,
        startup: StartupMessage | None = None,
        identity: Identity | None = None,
    ) -> bool:
        """Record it now. False where the journal does not take it."""
        self._telemetry.login(reference)
        return self._write(source, reference, sqlstate, reason, startup, identity)

    def _write(
        self,
        source: str,
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
            source=source,
            reference=reference,
            sqlstate=sqlstate,
            reason=reason,
            startup_user=parameters.get("user", "")[:63] or None,
            startup_database=parameters.get("database", "")[:63] or None,
            identity=identity,
            count=count,
        )
        try:
            self._journal.append([event])
        except JournalUnavailable:
            _log.error("a refused connection could not be recorded: %s from %s", reference, source)
            return False
        return True

    def note_before_tls(
        self,
        visitor: ClientAddress,
        reference: str,
        sqlstate: str,
        reason: str,
        startup: StartupMessage | None = None,
    ) -> None:
        """Record one that cost the client next to nothing: now, or counted with others within a second."""
        self._telemetry.login(reference)
        self._wind()
        if self._tally.single(visitor.network) and self._write(visitor.source, reference, sqlstate, reason, startup):
            return
        self._tally.count(Counted(visitor.network, reference, sqlstate))

    def _wind(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_TURN_SECONDS, self._turn)

    def _turn(self) -> None:
        self._timer = None
        for what, times in self._tally.turn():
            reason = f"{times} refused within a second, counted together"
            if not self._write(what.network, what.reference, what.sqlstate, reason, count=times):
                self._tally.count(what, times)  # the journal may take it later
                self._wind()

    def close(self) -> None:
        """Write down what was only counted so far."""
        if self._timer is not None:
            self._timer.cancel()
            self._turn()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            _log.critical("refused connections that were counted could not be recorded")
