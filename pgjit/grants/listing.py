"""What a list of requests or windows is narrowed to, and a page of one. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from pgjit.grants.request import RequestState
from pgjit.identity.identity import IdentityKey

__all__ = ["ListPage", "RequestFilter", "WindowFilter"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFilter:
    """None: any."""

    states: tuple[RequestState, ...] | None = None
    identity: IdentityKey | None = None
    policy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowFilter:
    """None: any. `ended`: whether the end was carried out. `unsigned`: of break-glass, and not signed off."""

    ended: bool | None = None
    identity: IdentityKey | None = None
    policy: str | None = None
    connection: str | None = None
    unsigned: bool = False


@dataclass(frozen=True, slots=True)
class ListPage(Generic[T]):
    """The newest first. `next`: the cursor of the page that follows; None: this is the last."""

    items: tuple[T, ...]
    next: str | None = None
