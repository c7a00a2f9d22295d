"""A call with its caller: requires a role, records the call, carries a change out once.

Decides the order: the role, the record, the idempotency key, the change. INVARIANT: a call that changes anything, or
reads what belongs to others, is in the journal before it happens; otherwise it does not happen. A call for which the
caller lacks the role is in the journal, too.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import NoReturn

from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from pgjit.api.caller import Caller, CallerRole, is_person
from pgjit.api.caller_turns import CallerTurns
from pgjit.api.idempotency import IdempotencyKeys, Reply, read_key
from pgjit.api.refusals import CallRefused, RoleRequired
from pgjit.audit.event import ApiCalled
from pgjit.audit.journal import Journal
from pgjit.errors import JournalUnavailable, PgjitError

__all__ = ["ApiCall", "ApiCalls"]

_log = logging.getLogger("pgjit.api")
_REFUSED = 403
_TARGET = 512  # characters


class ApiCalls:
    """Shared by all calls."""

    def __init__(self, journal: Journal, clock: Callable[[], datetime]) -> None:
        self.journal = journal
        self.clock = clock
        self.keys = IdempotencyKeys(clock)
        self.turns = CallerTurns()


class ApiCall:
    def __init__(self, request: Request, calls: ApiCalls) -> None:
        self._request = request
        self._calls = calls
        self.caller: Caller = request.state.caller

    def turn(self) -> AbstractAsyncContextManager[None]:
        """The caller's turn for an answer that takes a while. Entering raises TooManyCalls."""
        return self._calls.turns.turn(self.caller.quota_key)

    def require(self, *roles: CallerRole) -> CallerRole:
        """The first of `roles` that the caller has. Raises RoleRequired, after recording it."""
        role = self.caller.strongest(roles)
        if role is None:
            self.refuse(RoleRequired([each.value for each in roles], person=is_person(self.caller.identity)), 403)
        return role

    def refuse(self, error: PgjitError, status: int) -> NoReturn:
        """Record that the caller may not do this, and raise `error`.

        Only callers with an accepted token come here, and their rate is limited.
        """
        role = self.caller.strongest(reversed(CallerRole))
        self._record_refusal("none" if role is None else role.value, None, error, status)
        raise error

    def _record_refusal(self, role: str, target: str | None, error: PgjitError, status: int) -> None:
        try:
            self._calls.journal.append([self._event(role, target, status)])
        except JournalUnavailable:
            _log.error("a refused call could not be recorded: %s", error.message)

    def _event(
        self, role: str, target: str | None, status: int | None = None, *, most: int | None = _TARGET
    ) -> ApiCalled:
        caller = self.caller
        return ApiCalled(
            at=self._calls.clock(),
            identity=caller.identity,
            role=role,
            method=self._request.method,
            path=self._request.url.path[:512],
            target=None if target is None else target[:most],
            source=caller.source,
            status=status,
        )

    async def record(self, role: CallerRole, target: str | None = None, *, whole: bool = False) -> None:
        """Raises CallRefused: then nothing happens. `whole`: `target` is recorded however long it is."""
        calls = self._calls
        try:
            calls.journal.append([self._event(role.value, target, most=None if whole else _TARGET)])
            if calls.journal.durability == "synced":
                await calls.journal.flush()
        except JournalUnavailable:
            raise _not_recorded() from None

    async def change(
        self, role: CallerRole, target: str, action: Callable[[], Awaitable[BaseModel]], *, status: int = 200
    ) -> JSONResponse:
        """Record the call, then carry `action` out, at most once for an idempotency key.

        If `action` refuses because of who the caller is, a second record has the status.
        """
        key = read_key(self._request.headers.get("idempotency-key"))
        await self.record(role, target)

        async def reply() -> Reply:
            try:
                return Reply(status, (await action()).model_dump(mode="json"))
            except PgjitError as refused:
                if refused.problem()["status"] == _REFUSED:
                    self._record_refusal(role.value, target, refused, _REFUSED)
                raise

        if key is None:
            done = await reply()
        else:
            done = await self._calls.keys.run(self.caller.quota_key, key, self._fingerprint(), reply)
        problem = done.status >= 400
        return JSONResponse(
            done.body, done.status, media_type="application/problem+json" if problem else "application/json"
        )

    def _fingerprint(self) -> bytes:
        url = self._request.url
        text = f"{self._request.method} {url.path}?{url.query}\n".encode()
        return hashlib.sha256(text + self._request.state.body).digest()


def _not_recorded() -> CallRefused:
    return CallRefused(
        "call was not carried out because it could not be recorded",
        reference="journal-unavailable",
        status=503,
        hint="Try again later; the operators of this proxy have to look at its journal.",
    )
