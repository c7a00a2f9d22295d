"""Makes a command of the API: a function with the parameter `api: ApiOptions`, which stands for five options.

Decides which options all these commands have, which environment variables are read, and how they become a client of
the API.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from pgjit.cli.token_source import TokenOrigin, choose_source, fetch_token
from pgjit.cli.wrong_usage import WrongUsage

if TYPE_CHECKING:
    from pgjit.cli.api_client import ApiClient

__all__ = ["API_PANEL", "ApiOptions", "api_command"]

API_PANEL = "Options of all commands of the API"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiOptions:
    as_json: Annotated[bool, typer.Option("--json", help="Print the API's own JSON.", rich_help_panel=API_PANEL)] = (
        False
    )
    api: Annotated[
        str | None,
        typer.Option(
            envvar="PGJIT_API",
            metavar="URL",
            help="Address of the API, such as https://pgjit.example.com:8432.",
            rich_help_panel=API_PANEL,
        ),
    ] = None
    ca: Annotated[
        str,
        typer.Option(
            envvar=["PGJIT_API_CA", "PGJIT_SSLROOTCERT"],
            metavar="FILE",
            help="File with the CA of the API's certificate, or `system` for this system's CAs.",
            rich_help_panel=API_PANEL,
        ),
    ] = "system"
    audience: Annotated[
        str | None,
        typer.Option(
            envvar=["PGJIT_API_AUDIENCE", "PGJIT_AUDIENCE"],
            metavar="ID",
            help="Client id or URI of the API's registration (`api.audience`).",
            rich_help_panel=API_PANEL,
        ),
    ] = None
    source: Annotated[
        TokenOrigin | None,
        typer.Option(
            metavar="SOURCE",
            envvar="PGJIT_TOKEN_SOURCE",
            help="Where the token comes from. By default the environment decides (`pgjit token --help`).",
            rich_help_panel=API_PANEL,
        ),
    ] = None

    def connect(self) -> ApiClient:
        """A client, which gets its token at the first call. Raises BadParameter, OSError, ApiUnreachable."""
        from pgjit.cli import api_client

        if not self.api:
            raise WrongUsage("the API's address is missing: give --api, or set PGJIT_API")
        chosen = self.source or choose_source(os.environ)

        def token() -> str:
            return fetch_token(chosen, self.audience).text

        return api_client.ApiClient(self.api, token, api_client.transport(self.ca))


def api_command(function: Callable[..., int]) -> Callable[..., int]:
    """`function` as a command whose parameter `api` is replaced by the options of `ApiOptions`."""
    own = [each for each in inspect.signature(function).parameters.values() if each.name != "api"]
    annotations = {**get_type_hints(function, include_extras=True), **get_type_hints(ApiOptions, include_extras=True)}
    shared = [
        inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default)
        for field in fields(ApiOptions)
    ]

    @functools.wraps(function)
    def run(**values: Any) -> int:
        options = ApiOptions(**{each.name: values.pop(each.name) for each in shared})
        return function(**values, api=options)

    every = [each.replace(annotation=annotations[each.name]) for each in (*own, *shared)]
    run.__signature__ = inspect.Signature(every, return_annotation=int)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in every}
    return run
