"""The `api.console` section of the configuration: pages for people in a browser. Decides the form only."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Self

import httpx
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

__all__ = ["ConsoleSecretSection", "ConsoleSection"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ConsoleSecretSection(_Section):
    """Where the client secret is: never in this file. One of the three."""

    env: str | None = Field(default=None, description="name of an environment variable")
    file: Path | None = Field(default=None, description="file that holds it; one newline at its end is left out")
    command: tuple[str, ...] | None = Field(
        default=None, min_length=1, description="program and arguments, run without a shell; it prints the secret"
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(source is not None for source in (self.env, self.file, self.command)) != 1:
            raise ValueError("give one of `env`, `file` and `command`")
        return self


class ConsoleSection(_Section):
    """The console: pages in a browser, on the port of the HTTP API. Without this section there are none."""

    url: str = Field(
        description=(
            "its address as browsers see it, `https://host` or `https://host:port`; `URL/signed-in` is the redirect "
            "URI to register at the identity provider"
        )
    )
    client_id: str = Field(
        min_length=1,
        description="of the registration with which people sign in: one of its own, with a permission of the API's",
    )
    client_secret: ConsoleSecretSection | None = Field(
        default=None, description="of that registration; without one it must be a public client. PKCE is used always"
    )
    scope: str | None = Field(
        default=None,
        min_length=1,
        description=(
            "of the access token for the HTTP API; with `entra` by default all permissions of `api.audience`. "
            "`openid profile offline_access` is added"
        ),
    )
    idle_minutes: int = Field(
        default=30, ge=1, le=24 * 60, description="a sign-in ends after this time without a page that was opened"
    )
    absolute_hours: int = Field(default=10, ge=1, le=24, description="a sign-in ends after this time in any case")

    @field_validator("url")
    @classmethod
    def _origin(cls, value: str) -> str:
        try:
            url = httpx.URL(value)
        except httpx.InvalidURL:
            raise ValueError("is not a URL") from None
        plain = f"https://{url.netloc.decode('ascii', 'replace')}"
        if not url.host or value.removesuffix("/") != plain or url.userinfo:
            raise ValueError("must be of the form `https://host` or `https://host:port`, in lower case")
        return plain

    @property
    def redirect_uri(self) -> str:
        return f"{self.url}/signed-in"

    @property
    def idle(self) -> timedelta:
        return timedelta(minutes=self.idle_minutes)

    @property
    def absolute(self) -> timedelta:
        return timedelta(hours=self.absolute_hours)
