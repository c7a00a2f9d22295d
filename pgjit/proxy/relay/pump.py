"""Moves the bytes of a session between client and server, and records every batch before it is sent.

Decides when the session's traffic is over, and in which order the journal and the links are used. The client's stream
is dealt with by `client_traffic.py`; `server_side.py` decides what the client receives.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence

from pgjit.audit.event import Event, SessionContext
from pgjit.errors import JournalUnavailable
from pgjit.grants.holder import HolderKey
from pgjit.grants.usage import Usage
from pgjit.policy.policy import Preset
from pgjit.proxy.access import Access
from pgjit.proxy.leased_traffic import LeasedTraffic
from pgjit.proxy.relay.budget import Budget
from pgjit.proxy.relay.client_traffic import ClientTraffic
from pgjit.proxy.relay.ending import Ending, TrafficEnd
from pgjit.proxy.relay.execution_counts import count_outcomes
from pgjit.proxy.relay.kept_results import KeptResults
from pgjit.proxy.relay.own_cancel import OwnCancel
from pgjit.proxy.relay.relay_state import RelayState
from pgjit.proxy.relay.server_side import ServerSide
from pgjit.proxy.relay.server_step import ScannedData
from pgjit.proxy.relay.show_pgjit import SessionFacts
from pgjit.proxy.relay.statement_timeout import LOOK_SECONDS, StatementTimeout
from pgjit.proxy.relay.waits import Waits
from pgjit.proxy.services import Services
from pgjit.proxy.session_records import SessionRecords
from pgjit.proxy.window.end_errors import idle_in_transaction_error, server_closed_error
from pgjit.proxy.window.leases import WindowLease
from pgjit.server.link import Link
from pgjit.server.upstream import Upstream
from pgjit.turns import take_turn

__all__ = ["Pump"]


class Pump:
    def __init__(
        self,
        services: Services,
        access: Access,
        context: SessionContext,
        client: Link,
        upstream: Upstream,
        tripwire: dict[str, str],
        usage: Usage,
        lease: WindowLease | None = None,
    ) -> None:
        self._services = services
        self._policy = access.policy
        self._client = client
        self._server = upstream.link
        self._end = TrafficEnd()
        self._counts = services.telemetry.of_policy(access.policy.name)
        self._records = SessionRecords(
            services.journal, services.journal_rate, access.identity.key, synced=services.flush_before_forward,
            overflow=self._unrecorded, ready=lambda: self._results is None or self._results.writable,
        )  # fmt: skip
        encoding = upstream.parameters.get("server_encoding", "")
        self.state = RelayState(
            context,
            ends_at=access.ends_at,
            new_token=lambda: b"pgjit_deny_" + secrets.token_hex(8).encode(),
            budget=Budget(access.policy.limits, usage),
            encoding=encoding,
            unrestricted=access.policy.statements.access is Preset.FULL,
        )
        files = services.journal.results if context.results is not None else None
        self._results = None if files is None else KeptResults(files, self.state.queue, self._unrecorded)
        self._cancel = OwnCancel(upstream)
        self._server_side = ServerSide(self.state, tripwire, hides_details=access.policy.statements.needs_names)
        self._leased = LeasedTraffic(
            lease, self._end.future, self._server, self._server_side.scan, self._from_server, self._server_left
        )
        self._facts = self._session_facts(access, utf8=encoding == "UTF8")
        self._waits = Waits(
            services, access.policy, self.state, client, self._server, self._leased, self._cancel, self._end
        )
        self._from_client = ClientTraffic(
            services, access, self.state, self._facts, client, self._server, self._records, self._waits, self._end
        )  # fmt: skip
        self._timeout = StatementTimeout(access.policy.limits, self.state)

    def _session_facts(self, access: Access, *, utf8: bool) -> SessionFacts:
        # `sessions` holds no part of the pump: a reference cycle would keep the session's memory.
        quotas, key, policy = self._services, HolderKey.of(access.identity), access.policy
        return SessionFacts(
            context=self.state.context, ends_at=access.ends_at, policy=policy, budget=self.state.budget,
            request=access.request, utf8=utf8,
            sessions=lambda: (
                quotas.policy_quota[key, policy.name], quotas.identity_quota[key], quotas.identity_quota.most,
            ),
        )  # fmt: skip

    def follow(self, access: Access, rules_since: int) -> None:
        """From now on the session is judged by another version of its policy, and may end earlier.

        `rules_since`: judges of lower numbers judged by an earlier version.
        """
        self._policy, self.state.ends_at, self.state.rules_since = access.policy, access.ends_at, rules_since
        self._facts.follow(access.policy, access.ends_at)
        self._server_side.errors.hides_details = access.policy.statements.needs_names
        self._from_client.follow(access)

    def hold(self) -> None:
        """Forward nothing more of the client. What was recorded or runs goes on."""
        self._from_client.hold()

    def cut_off(self) -> None:
        """Forward nothing more of the client, nor what is recorded already. `over` must follow."""
        self._from_client.cut_off()

    def over(self, ending: Ending) -> None:
        """End the traffic. The first reason counts."""
        self._from_client.hold()
        self._end.set(ending)

    async def run(self) -> Ending:
        """Forward until the end. Nothing of the client is sent after this returns."""
        checking = asyncio.create_task(self._check_timeouts()) if self._timeout.needed else None
        self._server.stream(self._leased.from_server, self._leased.server_left, peer=self._client)
        self._client.stream(
            self._from_client.on_data, self._from_client.on_lost, peer=self._server, detects_disconnect=True
        )
        try:
            ending = await asyncio.shield(self._end.future)
            self._from_client.hold()
            await take_turn(ends=True)
            return ending
        finally:
            await self._from_client.stop()
            if checking is not None:
                checking.cancel()
            left = [task for task in (checking, self._cancel.under_way) if task is not None]
            await asyncio.gather(*left, return_exceptions=True)
            self._records.write()  # before the end is recorded it is known what was

    async def _check_timeouts(self) -> None:
        try:
            while not self._end.passed:
                await asyncio.sleep(LOOK_SECONDS)
                match self._timeout.check(self._services.clock.nanoseconds()):
                    case "statement":
                        self._cancel.start()
                    case "transaction":
                        self.over(Ending("idle-in-transaction", idle_in_transaction_error(self._policy)))
        except Exception:
            self._end.set_fault()
            raise

    # --- from the server -------------------------------------------------------------------------------

    def _from_server(self, scanned: ScannedData) -> None:
        step = self._server_side.read(scanned, self._services.clock.of_turn())
        self._waits.answered()
        data = step.data if self._results is None else self._results.pass_on(step)
        if step.events:
            count_outcomes(self._counts, step.events)
            self._records.after(step.events)
        self._server.write(step.to_server)
        if step.cancel:
            self._cancel.start()
        for piece in data:
            self._client.write(piece)
        if step.fault is not None:
            self.over(Ending(step.reason, step.fault))

    def _server_left(self) -> None:
        if (last := self.state.last_words) is not None:
            self.over(Ending("server", last, error_sent=True))
            return
        self.over(Ending("server", server_closed_error()))

    # --- the journal -----------------------------------------------------------------------------------

    def _unrecorded(self) -> None:
        self.over(Ending("journal", JournalUnavailable(fatal=True)))

    def note(self, events: Sequence[Event]) -> None:
        """Record what has happened. What the journal cannot take now is kept, and written first later."""
        count_outcomes(self._counts, events)
        self._records.write(events)

    def close(self) -> None:
        """Break the pump's reference cycles, so that the session's memory is freed at once."""
        self._from_client.close()
        self._leased.close()
        self._records.close()

    def give_up_copy(self) -> None:
        """End a COPY from the client from our side. Inside a data message this cannot be done."""
        if not self._from_client.inside_data:
            self._server.write(self.state.copy_in.give_up(b"access has ended"))

    @property
    def inside_message(self) -> bool:
        """The client has a message in part: nothing else can be sent to it now."""
        return self._server_side.inside_message

    @property
    def unsettled(self) -> bool:
        """The journal could not take every record."""
        return self._records.unsettled

    async def settle(self) -> None:
        """At the end: try again to write the records that are left. Raises JournalUnavailable."""
        await self._records.settle()
