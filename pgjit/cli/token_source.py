"""Gets an access token for a client, from one of a few named sources.

Decides which source is used, by its name or by the environment, and that its result looks like a token. Keeps
nothing. INVARIANT: no error holds a part of a token or of a secret.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from pgjit.audit.plain_text import plain
from pgjit.errors import ServerUnavailable

__all__ = ["NoClientToken", "Token", "TokenOrigin", "choose_source", "fetch_token", "is_credential"]

TOKEN_VARIABLE: Final = "PGJIT_TOKEN"  # noqa: S105 - the name of a variable
EMULATOR_VARIABLE: Final = "PGJIT_EMULATOR"
_CREDENTIALS: Final = (
    "AZURE_CLIENT_", "AZURE_FEDERATED_TOKEN", "AZURE_USERNAME", "AZURE_PASSWORD", "AZURE_POD_IDENTITY_",
    "AZURESUBSCRIPTION_", "IDENTITY_", "MSI_", "IMDS_ENDPOINT", "ACTIONS_ID_TOKEN_REQUEST_", "SYSTEM_ACCESSTOKEN",
    "SYSTEM_OIDCREQUESTURI",
)  # fmt: skip
"""How the variables begin with which azure-identity gets tokens: secrets, certificates, files, endpoints."""
_SHAPE: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\Z")
_MAX_BYTES: Final = 64 * 1024
_MOST_SHOWN: Final = 300


class NoClientToken(ServerUnavailable):
    """The source of tokens gave none."""


class TokenOrigin(StrEnum):
    VARIABLE = "variable"  # PGJIT_TOKEN
    EMULATOR = "emulator"  # `pgjit emulator` at PGJIT_EMULATOR, with AZURE_CLIENT_SECRET
    SERVICE_PRINCIPAL = "service-principal"  # AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH
    WORKLOAD_IDENTITY = "workload-identity"  # AZURE_FEDERATED_TOKEN_FILE
    MANAGED_IDENTITY = "managed-identity"  # AZURE_CLIENT_ID names one of several
    DEVICE_CODE = "device-code"  # a person signs in with a code, in any browser; only if it is named
    AZURE_CLI = "azure-cli"  # the person who ran `az login`


@dataclass(frozen=True, slots=True)
class Token:
    text: str = field(repr=False)
    source: TokenOrigin
    expires_at: datetime | None = None


def choose_source(environment: Mapping[str, str]) -> TokenOrigin:
    """The first source whose variables are set, in this order; the Azure CLI where none is."""
    signs = (
        (TokenOrigin.VARIABLE, (TOKEN_VARIABLE,)),
        (TokenOrigin.EMULATOR, (EMULATOR_VARIABLE,)),
        (TokenOrigin.WORKLOAD_IDENTITY, ("AZURE_FEDERATED_TOKEN_FILE",)),
        (TokenOrigin.SERVICE_PRINCIPAL, ("AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH")),
        (TokenOrigin.MANAGED_IDENTITY, ("IDENTITY_ENDPOINT", "AZURE_POD_IDENTITY_AUTHORITY_HOST")),
    )
    return next(
        (source for source, names in signs if any(environment.get(name) for name in names)), TokenOrigin.AZURE_CLI
    )


def is_credential(name: str) -> bool:
    """Whether the environment variable `name` holds a token, or is used to get one."""
    return name.upper() == TOKEN_VARIABLE or name.upper().startswith(_CREDENTIALS)


def fetch_token(source: TokenOrigin, audience: str | None, environment: Mapping[str, str] = os.environ) -> Token:
    """A token for `audience`, which every source but the variable needs. Raises NoClientToken."""
    if source is TokenOrigin.VARIABLE:
        return Token(_checked(_variable(environment, TOKEN_VARIABLE, source), source), source)
    if audience is None:
        raise _none(source, "The audience of the token is missing.", "Set PGJIT_AUDIENCE, or give --audience.")
    scope = f"{audience.removesuffix('/.default')}/.default"
    if source is TokenOrigin.EMULATOR:
        return _from_emulator(scope, environment)
    text, ends = _from_azure(source, scope, environment)
    return Token(_checked(text, source), source, datetime.fromtimestamp(ends, UTC))


def _from_emulator(scope: str, environment: Mapping[str, str]) -> Token:
    import httpx  # here: for every other source it would be half of the time that the command takes

    source = TokenOrigin.EMULATOR
    place = _variable(environment, EMULATOR_VARIABLE, source).rstrip("/")
    tenant, client_id, secret = (
        _variable(environment, name, source) for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")
    )
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret, "scope": scope}
    try:
        with httpx.Client(trust_env=False, timeout=10.0) as client:
            response = client.post(f"{place}/{tenant}/oauth2/v2.0/token", data=form)
            answer = response.json()
        text, lifetime = answer.get("access_token"), answer.get("expires_in")
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, AttributeError) as fault:
        raise _none(source, f"It did not answer: {type(fault).__name__}.") from None
    if not isinstance(text, str) or not isinstance(lifetime, int):
        raise _none(source, _shown(str(answer.get("error_description", "It gave no token."))))
    ends = datetime.fromtimestamp(datetime.now(UTC).timestamp() + lifetime, UTC)
    return Token(_checked(text, source), source, ends)


def _from_azure(source: TokenOrigin, scope: str, environment: Mapping[str, str]) -> tuple[str, int]:
    try:
        import azure.identity as azure
        from azure.core.exceptions import AzureError
    except ImportError:
        raise _none(source, "azure-identity is not installed.", "Install it: pip install 'pgjit[azure]'") from None
    logging.getLogger("azure").setLevel(logging.CRITICAL)  # the error has the same text
    client_id = environment.get("AZURE_CLIENT_ID")
    # The library asks Microsoft whether an authority is genuine. One that was set on purpose is not checked.
    named: dict[str, Any] = {"disable_instance_discovery": bool(environment.get("AZURE_AUTHORITY_HOST"))}
    own: dict[str, Any] = {"client_id": client_id} if client_id else {}
    makers: dict[TokenOrigin, Callable[[], Any]] = {
        TokenOrigin.SERVICE_PRINCIPAL: lambda: azure.EnvironmentCredential(**named),
        TokenOrigin.WORKLOAD_IDENTITY: lambda: azure.WorkloadIdentityCredential(**named),
        TokenOrigin.MANAGED_IDENTITY: lambda: azure.ManagedIdentityCredential(client_id=client_id),
        TokenOrigin.DEVICE_CODE: lambda: azure.DeviceCodeCredential(
            tenant_id=environment.get("AZURE_TENANT_ID") or "organizations",
            prompt_callback=_show_code,
            **named,
            **own,
        ),
        TokenOrigin.AZURE_CLI: azure.AzureCliCredential,
    }
    try:
        with makers[source]() as credential:
            token = credential.get_token(scope)
    except (AzureError, ValueError) as fault:
        raise _none(source, _shown(str(fault))) from None
    except Exception as fault:  # noqa: BLE001 - the text of an unknown error may hold a secret
        raise _none(source, f"azure-identity failed: {type(fault).__name__}.") from None
    return str(token.token), int(token.expires_on)


def _show_code(address: str, code: str, _ends: datetime) -> None:
    print(f"To sign in, open {plain(address)} and enter the code {plain(code)}", file=sys.stderr, flush=True)


def _variable(environment: Mapping[str, str], name: str, source: TokenOrigin) -> str:
    value = environment.get(name, "")
    if not value:
        raise _none(source, f"The environment variable {name} is not set.")
    return value


def _checked(text: str, source: TokenOrigin) -> str:
    text = text.strip()
    if len(text) > _MAX_BYTES or not _SHAPE.match(text):
        raise _none(source, "Its result does not have the shape of an access token.")
    return text


def _shown(text: str) -> str:
    return " ".join(text.split())[:_MOST_SHOWN]


def _none(source: TokenOrigin, detail: str, hint: str | None = None) -> NoClientToken:
    return NoClientToken(f"no token from `{source}`", reference="no-token", detail=detail, hint=hint)
