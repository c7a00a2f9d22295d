"""The configuration of pgjit's own logins to a server: the source of the password, and the `control` login.

Decides which keys these sections have, and which faults of a secret's source are reported at start. A secret is never
in the configuration or in an error.
"""

from __future__ import annotations

import functools
import os
import shutil
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pgjit.document import Document
from pgjit.identity import azure_token
from pgjit.server.credential import CredentialUnavailable, FixedSecret, FromFile, LoginCredential, RenewedSecret
from pgjit.server.managed_identity import SCOPE, fetch_token
from pgjit.server.secret_command import secret_of_command
from pgjit.server.target import ControlLogin

__all__ = ["AzureSection", "ControlSection", "SecretSection", "control_login", "credential_of"]


class LoginSection(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AzureSection(LoginSection):
    """A token of this machine's managed identity; needs `pip install 'pgjit[azure]'`."""

    scope: str = Field(default=SCOPE, min_length=1, description="what the token is for")
    client_id: str | None = Field(default=None, description="of a user-assigned identity; the system's if not given")


class SecretSection(LoginSection):
    """Where a secret is: never in this file. One of the four."""

    env: str | None = Field(default=None, description="name of an environment variable")
    file: Path | None = Field(
        default=None, description="file that holds it, read at every login; one newline at its end is left out"
    )
    command: tuple[str, ...] | None = Field(
        default=None, min_length=1, description="program and arguments, run without a shell; it prints the secret"
    )
    azure: AzureSection | None = None
    timeout: float = Field(default=10, gt=0, le=15, description="seconds that `command` may take")
    refresh: float = Field(
        default=300, ge=0, le=86400, description="seconds until `command` is run again; sooner if the server refuses"
    )

    @model_validator(mode="after")
    def _one(self) -> SecretSection:
        if sum(source is not None for source in (self.env, self.file, self.command, self.azure)) != 1:
            raise ValueError("give one of `env`, `file`, `command` and `azure`")
        if self.command is None and self.model_fields_set & {"timeout", "refresh"}:
            raise ValueError("`timeout` and `refresh` go with `command`")
        return self


class ControlSection(LoginSection):
    """A separate login that ends sessions, a member of `pg_signal_backend` and `pg_read_all_stats`.

    Without it pgjit ends sessions under their own login, and a session under `access: full` or `allow: do` could
    terminate the connection that is to end it.
    """

    user: str = Field(min_length=1, description="login role; not that of the sessions")
    password: SecretSection | None = Field(default=None, description="where its password is")


def control_login(document: Document, folder: Path, name: str, section: ControlSection | None) -> ControlLogin | None:
    if section is None:
        return None
    where = ("connections", name, "control", "password")
    return ControlLogin(user=section.user, credential=credential_of(document, folder, where, section.password))


def credential_of(
    document: Document, folder: Path, where: tuple[str, ...], secret: SecretSection | None
) -> LoginCredential | None:
    """The source of the secret. A source that cannot be used is reported as a fault of the configuration."""
    if secret is None:
        return None
    if secret.env is not None:
        value = os.environ.get(secret.env)
        if not value:
            document.fault((*where, "env"), f"environment variable `{secret.env}` is not set")
        elif value.encode("utf-8", "ignore").decode() != value:
            document.fault((*where, "env"), f"environment variable `{secret.env}` is not text")
        return FixedSecret(value or "")
    if secret.file is not None:
        source = FromFile(folder / secret.file)
        try:
            source.read()
        except CredentialUnavailable as fault:
            document.fault((*where, "file"), f"cannot be used: {fault}")
        return source
    if secret.command is not None:
        if shutil.which(secret.command[0]) is None:
            document.fault((*where, "command"), f"`{secret.command[0]}` is not a program that can be run")
        run = functools.partial(secret_of_command, secret.command, timeout=secret.timeout, refresh=secret.refresh)
        return RenewedSecret(run)
    assert secret.azure is not None
    if not azure_token.installed():
        document.fault((*where, "azure"), "needs azure-identity: pip install 'pgjit[azure]'")
    return RenewedSecret(functools.partial(fetch_token, secret.azure.scope, secret.azure.client_id))
