"""The parts of the proxy that the endpoints use, and how an endpoint gets them.

Decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, cast

from fastapi import Depends, Request

from pgjit.api.caller_groups import CallerGroups
from pgjit.api.calls import ApiCall
from pgjit.audit.journal import Journal
from pgjit.identity.directory import Directory
from pgjit.identity.provider import Provider
from pgjit.policy.load import Policies
from pgjit.proxy.registry import Registry

__all__ = ["ApiServices", "TheCall", "TheGroups", "TheServices"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiServices:
    provider: Provider
    directory: Directory | None
    policies: Policies
    registry: Registry
    journal: Journal
    clock: Callable[[], datetime]
    node: str
    version: str


def _call(request: Request) -> ApiCall:
    return ApiCall(request, request.app.state.calls)


def _services(request: Request) -> ApiServices:
    return cast(ApiServices, request.app.state.services)


def _groups(request: Request) -> CallerGroups:
    return cast(CallerGroups, request.app.state.groups)


TheCall = Annotated[ApiCall, Depends(_call)]
TheServices = Annotated[ApiServices, Depends(_services)]
TheGroups = Annotated[CallerGroups, Depends(_groups)]
