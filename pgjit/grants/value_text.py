"""Requests, locks and the like as JSON, for the store and for the records that the journal has still to take.

A later version of pgjit must be able to read what this one wrote.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from pydantic import TypeAdapter

from pgjit.grants.actor import Actor
from pgjit.grants.holder import Holder
from pgjit.grants.lock import Lock
from pgjit.grants.request import Request, Verdict
from pgjit.grants.standing_orders import SessionKill
from pgjit.grants.window import SignOff, Window
from pgjit.identity.identity import IdentityKey

__all__ = ["ACTOR", "HOLDER", "KEYS", "KILL", "LOCK", "REQUEST_TEXT", "SIGN_OFF", "VERDICT", "WINDOW", "ValueText"]

T = TypeVar("T")


class ValueText(Generic[T]):
    def __init__(self, shape: type[T]) -> None:
        self._adapter = TypeAdapter(shape)

    def write(self, value: T) -> str:
        return self._adapter.dump_json(value).decode()

    def read(self, text: str) -> T:
        """Raises ValueError."""
        return self._adapter.validate_json(text)


ACTOR = ValueText(Actor)
HOLDER = ValueText(Holder)
KEYS = ValueText(frozenset[IdentityKey])
KILL = ValueText(SessionKill)
LOCK = ValueText(Lock)
REQUEST_TEXT = ValueText(Request)
SIGN_OFF = ValueText(SignOff)
VERDICT = ValueText(Verdict)
WINDOW = ValueText(Window)
