"""The console, from the configuration. Its libraries are imported here: without the section they are not needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from pgjit.api.console_section import ConsoleSection
from pgjit.config import Config
from pgjit.identity.provider import Provider

if TYPE_CHECKING:
    from fastapi import FastAPI

    from pgjit.api.gate import Gate
    from pgjit.console.console_http import Console

__all__ = ["new_console"]


def new_console(
    config: Config, section: ConsoleSection, provider: Provider, api: Gate, endpoints: FastAPI
) -> Console:
    """`provider`, `api` and `endpoints`: of the HTTP API."""
    from pgjit.console.console_http import console_http
    from pgjit.console.provider_login import ProviderLogin

    identity, discovery = config.file.identity, provider.discovery
    login = ProviderLogin(section, discovery, config.console_secret, allow_http=identity.allow_http)
    host = httpx.URL(discovery.openid_configuration).host
    return console_http(
        section, api, endpoints, login, provider_name="Microsoft Entra" if identity.provider == "entra" else host
    )
