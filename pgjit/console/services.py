"""What the pages use. Decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from fastapi import Request
from starlette.types import ASGIApp

from pgjit.api.caller import RoleTable
from pgjit.api.console_section import ConsoleSection
from pgjit.api.gate import CallerAdmission
from pgjit.api.services import ApiServices
from pgjit.console.page_entry import PageEntry
from pgjit.console.provider_login import LoginFlow
from pgjit.console.sign_ins import SignIns
from pgjit.console.templates import Templates

__all__ = ["ConsoleServices", "address_of", "services_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleServices:
    """`api` is the HTTP API with its gate; `admission` and `roles` are the API's own."""

    section: ConsoleSection
    api: ASGIApp
    api_services: ApiServices
    admission: CallerAdmission
    roles: RoleTable
    login: LoginFlow
    sign_ins: SignIns
    templates: Templates
    entries: tuple[PageEntry, ...]
    clock: Callable[[], datetime]
    provider_name: str  # for people


def services_of(request: Request) -> ConsoleServices:
    return cast(ConsoleServices, request.app.state.console)


def address_of(request: Request) -> str:
    """Address and port of the browser, as records have them."""
    return "0.0.0.0:0" if request.client is None else f"{request.client.host}:{request.client.port}"
