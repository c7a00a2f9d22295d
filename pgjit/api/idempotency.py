"""Idempotency keys: a call that is repeated with its key is not carried out again; its stored response is returned.

Decides what a repetition is, and how long a response is kept: 24 hours, at most 100 for each caller and 10 000 in
all, in the memory of this process. A restart or another node does not know a key; what a call changes is safe by
itself there, because every change compares the state that it found.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pgjit.api.refusals import CallRefused, InvalidCall, TooManyCalls
from pgjit.errors import PgjitError
from pgjit.grants.holder import HolderKey

__all__ = ["IdempotencyKeys", "Reply", "read_key"]

_KEY = re.compile(r"[\x21\x23-\x7e]{1,255}\Z")
_KEPT = timedelta(hours=24)
_MOST = 10_000
_MOST_OF_CALLER = 100


@dataclass(frozen=True, slots=True)
class Reply:
    """A response to be sent, now and at a repetition."""

    status: int
    body: dict[str, object]


@dataclass(slots=True)
class _Entry:
    fingerprint: bytes
    at: datetime
    reply: Reply | None = None  # None: the first call is under way


def read_key(header: str | None) -> str | None:
    """The key in the header `Idempotency-Key`, with or without quotes. Raises InvalidCall."""
    if header is None:
        return None
    quoted = len(header) > 1 and header[0] == header[-1] == '"'
    key = header[1:-1] if quoted else header
    if not _KEY.match(key):
        raise InvalidCall(
            "`Idempotency-Key` must be 1 to 255 visible ASCII characters.", reference="invalid-key", status=400
        )
    return key


class IdempotencyKeys:
    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._entries: OrderedDict[tuple[HolderKey, str], _Entry] = OrderedDict()

    async def run(
        self, caller: HolderKey, key: str, fingerprint: bytes, action: Callable[[], Awaitable[Reply]]
    ) -> Reply:
        """Carry `action` out, or return the reply of the call that had the key first.

        INVARIANT: a key is the caller's own. Nobody gets a reply to the call of somebody else.
        """
        now = self._clock()
        self._forget(caller, now)
        entry = self._entries.get((caller, key))
        if entry is not None:
            return _repeated(entry, fingerprint)
        entry = self._entries[caller, key] = _Entry(fingerprint, now)
        try:
            entry.reply = await action()
        except PgjitError as refused:
            problem = {**refused.problem(), "reference": refused.reference}
            status = problem["status"]
            assert isinstance(status, int)
            if status >= 500 or status == 429:
                del self._entries[caller, key]  # the caller may try again
            else:
                entry.reply = Reply(status, problem)
            raise
        except BaseException:
            del self._entries[caller, key]
            raise
        return entry.reply

    def _forget(self, caller: HolderKey, now: datetime) -> None:
        while self._entries:
            oldest, entry = next(iter(self._entries.items()))
            if entry.reply is None or (now - entry.at < _KEPT and len(self._entries) < _MOST):
                break
            del self._entries[oldest]
        own = [each for each in self._entries if each[0] == caller]
        if len(own) < _MOST_OF_CALLER and len(self._entries) < _MOST:
            return
        oldest_done = next((each for each in own if self._entries[each].reply is not None), None)
        if oldest_done is None:
            raise TooManyCalls(1)
        del self._entries[oldest_done]


def _repeated(entry: _Entry, fingerprint: bytes) -> Reply:
    if entry.fingerprint != fingerprint:
        raise CallRefused(
            "idempotency key was used for another call",
            reference="key-reused",
            status=422,
            detail="The method, the path or the body differs from the call that had the key first.",
            hint="Use a new key for every new call.",
        )
    if entry.reply is None:
        raise CallRefused(
            "call with this idempotency key is under way",
            reference="call-under-way",
            status=409,
            hint="Repeat it in a moment, with the same key, to get its response.",
        )
    return entry.reply
